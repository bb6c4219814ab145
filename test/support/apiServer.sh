#!/bin/bash
# Runs etcd and a Kubernetes API server until standard input ends. That end comes, too, when the process is killed that holds the other
# side, so nothing outlives a test run. Arguments: a folder, which is removed at the end; three free ports of loopback.
set -u
dir=$1 client=$2 peer=$3 api=$4
cd "$dir" || exit 1
etcd --name test --data-dir "$dir/etcd" --log-level error \
  --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "test=http://127.0.0.1:$peer" >etcd.log 2>&1 </dev/null &
etcd=$!
# No controller gives pods a service account here, and none publishes the server's own address.
kube-apiserver --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$api" \
  --cert-dir "$dir/certificates" --token-auth-file "$dir/tokens.csv" --authorization-mode RBAC \
  --service-account-issuer https://test --service-account-key-file "$dir/account.key" \
  --service-account-signing-key-file "$dir/account.key" --service-cluster-ip-range 198.19.0.0/24 \
  --disable-admission-plugins ServiceAccount --endpoint-reconciler-type none --profiling=false \
  >server.log 2>&1 </dev/null &
server=$!
read -r _
kill -9 $server $etcd
wait
cd / && rm -rf "$dir"
