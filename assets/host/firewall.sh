#!/bin/sh
# Written by `gpubox host prepare` of gpubox. Keeps neighbours from containers, and the containers of gpubox' boxes from the
# host's own ports and from metadata addresses. Safe to repeat. Word: nothing, or "remove".
#
# Reads /etc/gpubox/firewall.d/<stack>, a word and its values a line:
#   outside INTERFACE       what neighbours come in through
#   bridge NAME             a bridge of the box
#   open ADDRESS PORT       the box may connect to that port of the host; ADDRESS "*": any of the host's
#   metadata                the box may reach metadata addresses
set -u
PATH=/usr/sbin:/sbin:/usr/bin:/bin
folder=${GPUBOX_FIREWALL:-/etc/gpubox/firewall.d}
# Bridges of boxes that were never prepared for are closed too.
any=br-gpubox+
comment="-m comment --comment gpubox"

# What clouds answer to without a key, from whatever may connect: the link-local network, then Alibaba, Azure and Oracle.
metadata4="169.254.0.0/16 100.100.100.200 168.63.129.16 192.0.0.192"
# Amazon, Google, Oracle, Scaleway.
metadata6="fd00:ec2::254 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42"

lines() { cat "$folder"/* 2>/dev/null | grep "^$1\( \|$\)"; }
bridges() { lines bridge | cut -d ' ' -f 2 | sort -u; }
of_family() { case "$2" in *:*) [ "$1" = 6 ] ;; *) [ "$1" = 4 ] ;; esac; }

# A host's own address, or a metadata address, may be its resolver.
resolvers() {
  sed -n 's/^nameserver *\([0-9a-fA-F.:]*\)$/\1/p' /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null |
    sort -u | while read -r address; do
      case "$address" in 127.* | ::1) ;; *) of_family "$1" "$address" && echo "$address" ;; esac
    done
}

# The chains in one go: nothing is open, and nothing closed, while they are written.
chains() {
  echo "*filter"
  echo ":GPUBOX-INPUT - [0:0]"
  echo ":GPUBOX-FORWARD - [0:0]"
  echo "-A GPUBOX-INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
  # How neighbours find each other.
  [ "$1" = 4 ] || echo "-A GPUBOX-INPUT -p ipv6-icmp -j RETURN"
  for resolver in $(resolvers "$1"); do
    for protocol in udp tcp; do
      echo "-A GPUBOX-INPUT -d $resolver -p $protocol --dport 53 -j RETURN"
      echo "-A GPUBOX-FORWARD -d $resolver -p $protocol --dport 53 -j RETURN"
    done
  done
  for file in "$folder"/*; do
    [ -f "$file" ] || continue
    grep '^bridge ' "$file" | while read -r _ bridge; do
      grep '^open ' "$file" | while read -r _ address port; do
        case "$address" in
          "*") echo "-A GPUBOX-INPUT -i $bridge -p tcp --dport $port -j RETURN" ;;
          *) of_family "$1" "$address" && echo "-A GPUBOX-INPUT -i $bridge -d $address -p tcp --dport $port -j RETURN" ;;
        esac
      done
      ! grep -q '^metadata$' "$file" || echo "-A GPUBOX-FORWARD -i $bridge -j RETURN"
    done
  done
  eval "addresses=\$metadata$1"
  # A reset ends an attempt at once; of other refusals the kernel sends one a second.
  for refusal in "-p tcp -j REJECT --reject-with tcp-reset" "-j REJECT"; do
    echo "-A GPUBOX-INPUT $refusal"
    for address in $addresses; do echo "-A GPUBOX-FORWARD -d $address $refusal"; done
  done
  echo "COMMIT"
}

# The jumps to a chain: those that are wanted, and no others. Words: program, from, to, interfaces.
jumps() {
  program=$1 from=$2 to=$3
  shift 3
  wanted=" $* "
  for bridge in "$@"; do
    rule="-i $bridge $comment -j $to"
    $program -w -C "$from" $rule 2>/dev/null || $program -w -I "$from" $rule
  done
  $program -w -S "$from" | sed -n "s/^-A $from -i \([^ ]*\) $comment -j $to\$/\1/p" | while read -r bridge; do
    case "$wanted" in *" $bridge "*) ;; *) $program -w -D "$from" -i "$bridge" $comment -j "$to" ;; esac
  done
}

# Where Docker asks first. It takes the chain as it finds it, so that the rules may be there before it starts.
asked_first() {
  if [ "$1" = iptables ]; then $1 -w -N DOCKER-USER 2>/dev/null; echo DOCKER-USER
  elif $1 -w -S DOCKER-USER >/dev/null 2>&1; then echo DOCKER-USER
  else echo FORWARD; fi
}

# Before version 28 Docker lets neighbours in the host's network reach containers by their own addresses, and ports that are
# published on loopback (moby#49325). By name, for the chain sees what the host routes to virtual machines and tunnels too.
neighbours() {
  for outside in $(lines outside | cut -d ' ' -f 2 | sort -u); do
    for bridge in docker0 br-+; do
      once "-i $outside -o $bridge -m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT $comment -j DROP"
    done
    once "-i $outside -m conntrack --ctorigdst 127.0.0.0/8 $comment -j DROP"
  done
}
once() { iptables -w -C DOCKER-USER $1 2>/dev/null || iptables -w -I DOCKER-USER $1; }

works() { command -v "$1" >/dev/null 2>&1 && "$1" -w -S INPUT >/dev/null 2>&1; }

apply() {
  works "$1" || return 0
  chains "$2" | "$1-restore" -w --noflush || return 1
  names="$any $(bridges | grep -v '^br-gpubox' | tr '\n' ' ')"
  jumps "$1" INPUT GPUBOX-INPUT $names
  jumps "$1" "$(asked_first "$1")" GPUBOX-FORWARD $names
}

remove() {
  works "$1" || return 0
  for chain in INPUT FORWARD DOCKER-USER; do
    "$1" -w -S "$chain" 2>/dev/null | grep -e '--comment gpubox' | while read -r _ rule; do "$1" -w -D $rule; done
  done
  for chain in GPUBOX-INPUT GPUBOX-FORWARD; do
    "$1" -w -F "$chain" 2>/dev/null && "$1" -w -X "$chain"
  done
  return 0
}

case "${1:-}" in
  remove) remove iptables && remove ip6tables ;;
  *)
    if ! works iptables; then echo "iptables cannot be used here" >&2; exit 1; fi
    apply iptables 4 && apply ip6tables 6 && neighbours
    ;;
esac
