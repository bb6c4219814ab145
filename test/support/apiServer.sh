#!/bin/bash
# Runs etcd and a Kubernetes API server until standard input ends. That end comes, too, when the process is killed that holds the other
# side, so nothing outlives a test run. Should this script be killed itself, each program has the signal that its parent's death sends.
# Arguments: a folder, which is removed at the end; three free ports; what else runs: `controllers`, where a scheduler and the controllers
# of workloads are to act on objects without any node's agent; `nodes`, where nodes with agents come, which need all controllers and names;
# the address of the API server, the range of its Services, its feature gates. Each of these may be empty.
set -u
[ "$1" = servers ] && mode=servers && shift || mode=
dir=$1 client=$2 peer=$3 api=$4 more=${5:-} address=${6:-127.0.0.1} services=${7:-198.19.0.0/24} gates=${8:-}
cd "$dir" || exit 1
start() {
  local log=$1
  shift
  setpriv --pdeathsig KILL "$@" >"$log.log" 2>&1 </dev/null &
}

servers() {
  start etcd etcd --name test --data-dir "$dir/etcd" --log-level error \
    --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "test=http://127.0.0.1:$peer"
  # Without nodes no controller gives pods a service account, or takes new nodes' taint away. Nothing publishes the server's own address.
  local own=(--disable-admission-plugins ServiceAccount,TaintNodesByCondition)
  [ "$more" != nodes ] || own=(--kubelet-preferred-address-types InternalIP)
  start server kube-apiserver --etcd-servers "http://127.0.0.1:$client" --bind-address "$address" --secure-port "$api" \
    --cert-dir "$dir/certificates" --token-auth-file "$dir/tokens.csv" --authorization-mode RBAC \
    --service-account-issuer https://test --service-account-key-file "$dir/account.key" \
    --service-account-signing-key-file "$dir/account.key" --service-cluster-ip-range "$services" \
    --endpoint-reconciler-type none --profiling=false ${gates:+--feature-gates "$gates"} "${own[@]}"

  [ -n "$more" ] || return 0
  # They end by themselves where no API server answers within ten seconds.
  until kubectl --kubeconfig "$dir/kubeconfig" --context admin get --raw /readyz; do sleep 1; done >/dev/null 2>&1
  # Without nodes, without the controller that evicts from those whose agent is silent.
  local which=deployment-controller,replicaset-controller,statefulset-controller,job-controller,disruption-controller,persistentvolume-binder-controller,endpointslice-controller
  [ "$more" != nodes ] || which='*'
  start controllers kube-controller-manager --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0 \
    --use-service-account-credentials=false --controllers "$which"
  start scheduler kube-scheduler --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0
  [ "$more" = nodes ] || return 0
  printf '.:53 {\n bind %s\n errors\n kubernetes cluster.local {\n  kubeconfig %s admin\n }\n}\n' "$address" "$dir/kubeconfig" >names
  start names coredns -conf names
}

if [ -n "$mode" ]; then
  servers
  wait
  exit
fi
# As a process group of their own, so that one signal ends them all.
set -m
setpriv --pdeathsig KILL bash "$0" servers "$@" &
group=$!
read -r _
kill -9 -- -$group
wait
cd / && rm -rf "$dir"
