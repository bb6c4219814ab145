#!/bin/bash
# Runs etcd and a Kubernetes API server until standard input ends. That end comes, too, when the process is killed that holds the other
# side, so nothing outlives a test run. Arguments: a folder, which is removed at the end; three free ports of loopback; `controllers`
# where a scheduler and the controllers of workloads are to act on the objects. There is never a node's agent.
set -u
dir=$1 client=$2 peer=$3 api=$4 more=${5:-}
cd "$dir" || exit 1
start() {
  local log=$1
  shift
  "$@" >"$log.log" 2>&1 </dev/null &
}

servers() {
  start etcd etcd --name test --data-dir "$dir/etcd" --log-level error \
    --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "test=http://127.0.0.1:$peer"
  # No controller here gives pods a service account, takes new nodes' taint away, or publishes the server's own address.
  start server kube-apiserver --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$api" \
    --cert-dir "$dir/certificates" --token-auth-file "$dir/tokens.csv" --authorization-mode RBAC \
    --service-account-issuer https://test --service-account-key-file "$dir/account.key" \
    --service-account-signing-key-file "$dir/account.key" --service-cluster-ip-range 198.19.0.0/24 \
    --disable-admission-plugins ServiceAccount,TaintNodesByCondition --endpoint-reconciler-type none --profiling=false

  [ "$more" = controllers ] || return 0
  # They end by themselves where no API server answers within ten seconds.
  until kubectl --kubeconfig "$dir/kubeconfig" --context admin get --raw /readyz; do sleep 1; done >/dev/null 2>&1
  # Without the controller that evicts from nodes whose agent is silent: there is none.
  start controllers kube-controller-manager --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0 \
    --use-service-account-credentials=false --controllers \
    deployment-controller,replicaset-controller,statefulset-controller,job-controller,disruption-controller,persistentvolume-binder-controller,endpointslice-controller
  start scheduler kube-scheduler --kubeconfig "$dir/kubeconfig" --leader-elect=false --secure-port 0
}

# As a process group of their own, the last of them included, so that one signal ends them all.
set -m
(
  set +m
  servers
  wait
) &
group=$!
read -r _
kill -9 -- -$group
wait
cd / && rm -rf "$dir"
