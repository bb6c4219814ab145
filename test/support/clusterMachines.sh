#!/bin/bash
# Two nodes of a Kubernetes cluster on this machine, until standard input ends. Each is a first process with namespaces of its own, in
# which containerd, the kubelet and kube-proxy run, so that its end is the end of everything on it. That end comes, too, when the process
# is killed that holds the other side. Arguments: a folder with the nodes' files, which is removed at the end; the third number of the
# network 10.231.x.0/24; a name for control groups and the link.
#
# The network: .0/28 this machine (.1) and node 1 (.2), .16/28 both nodes (.17, .18), .32/28 load balancers, .64/26 and .128/26 the nodes'
# pods, .192/26 Services.
set -u
dir=$1 net=$2 name=${3:-}

# What the first process of a node does: $dir is the node's own folder then.
inside() {
  set -e
  mount --make-rshared / && mount -t proc proc /proc
  # Sockets and locks of this machine's own programs are none of a node's.
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t tmpfs -o mode=755,size=256m tmpfs /var/log
  # Addresses of pods are written down there, and nothing of it is to stay here.
  mount -t overlay -o "lowerdir=/var/lib,upperdir=$dir/lib,workdir=$dir/work" overlay /var/lib
  # The kubelet only looks at them, and wants other values than this machine may have.
  mount --bind "$dir/kernel/overcommit" /proc/sys/vm/overcommit_memory
  mount --bind "$dir/kernel/panic" /proc/sys/kernel/panic
  mount --bind "$dir/kernel/panic_on_oops" /proc/sys/kernel/panic_on_oops
  mkdir -p /run/lock /run/containerd
  touch "$dir/made"
  # The shell takes in every process that loses its parent.
  while :; do
    sleep 3600 &
    wait $!
  done
}
[ "$net" != inside ] || inside

controllers() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else ls -d /sys/fs/cgroup/*/; fi
}

# make N: the node's namespaces and control groups.
make() {
  local here=$dir/n$1 group
  mkdir -p "$here"/{containerd,kubelet,plugins,kernel,lib,work}
  echo 1 >"$here/kernel/overcommit" && echo 10 >"$here/kernel/panic" && echo 1 >"$here/kernel/panic_on_oops"
  for group in $(controllers); do
    mkdir -p "$group/$name-n$1"
    # Of the first version, a group has no processor until it is given one.
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$group/cgroup.procs" ] || [ ! -e "$group/$file" ] || cat "$group/$file" >"$group/$name-n$1/$file"
    done
  done
  setpriv --pdeathsig KILL unshare --mount --pid --net --uts --ipc --fork --kill-child bash "$0" "$here" inside >"$here/first.log" 2>&1 </dev/null &
  parents[$1]=$!
  until [ -e "$here/made" ] || ! kill -0 "${parents[$1]}"; do sleep 0.1; done
  firsts[$1]=$(tr -d ' ' <"/proc/${parents[$1]}/task/${parents[$1]}/children")
  on "$1" hostname "n$1"
}

# on N COMMAND…: in the node.
on() {
  local first=${firsts[$1]}
  shift
  nsenter --target "$first" --mount --pid --net --uts --ipc --wd=/ -- "$@"
}

# start N PROGRAM…: in the node, in the background.
start() {
  local log=$dir/n$1/$2.log
  on "$@" >"$log" 2>&1 </dev/null &
}

connect() {
  local at=10.231.$net
  ip link add "gbx-$net" type veth peer name eth0 netns "${firsts[1]}"
  ip link add eth0 netns "${firsts[2]}" type veth peer name eth1 netns "${firsts[1]}"
  ip address add "$at.1/28" dev "gbx-$net" && ip link set "gbx-$net" up
  ip route replace "$at.0/24" via "$at.2"
  for node in 1 2; do
    on $node ip link set lo up
    on $node sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  done
  on 1 ip address add "$at.2/28" dev eth0 && on 1 ip link set eth0 up
  on 1 ip address add "$at.17/28" dev eth1 && on 1 ip link set eth1 up
  on 2 ip address add "$at.18/28" dev eth0 && on 2 ip link set eth0 up
  on 1 ip route add default via "$at.1" && on 1 ip route add "$at.128/26" via "$at.18"
  on 2 ip route add default via "$at.17"
}

parents=() firsts=()
for node in 1 2; do make $node; done
connect
echo "${firsts[1]} ${firsts[2]}" >"$dir/firsts.new" && mv "$dir/firsts.new" "$dir/firsts"
for node in 1 2; do start $node containerd --config "$dir/n$node/containerd.toml"; done

# The cluster's server comes when the link is there.
(
  until [ -e "$dir/kubeconfig" ]; do kill -0 $$ && sleep 0.2 || exit; done 2>/dev/null
  for node in 1 2; do
    own=2 && [ $node = 1 ] || own=18
    start $node kubelet --config "$dir/n$node/kubelet.yaml" --kubeconfig "$dir/kubeconfig" --hostname-override "n$node" \
      --node-ip "10.231.$net.$own" --root-dir "$dir/n$node/kubelet" --cert-dir "$dir/n$node/pki"
    start $node kube-proxy --config "$dir/n$node/kube-proxy.yaml"
  done
) &
agents=$!

read -r _
kill -9 $agents "${parents[@]}" 2>/dev/null
for first in "${firsts[@]}"; do while [ -e "/proc/$first" ]; do sleep 0.1; done; done
for group in $(controllers); do
  for node in 1 2; do find "$group/$name-n$node" -depth -type d -exec rmdir {} + 2>/dev/null; done
done
cd / && rm -rf "$dir"
