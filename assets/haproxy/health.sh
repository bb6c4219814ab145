# Health check of the edge's and the valves' containers: HAProxy itself answers. What lies behind it is not asked: an edge
# without a gateway is healthy, it holds requests. Needs bash only; neither Debian's nor the official image has curl.
set -uo pipefail
source /etc/gpubox/heal.sh

# One that ends or reloads refuses.
REFUSED=7
LATE=8

asked() {
  exec 3<>/dev/tcp/127.0.0.1/4002 || return "$REFUSED"
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  # Over 128: the time was over. Docker gives the whole check five seconds, also on a busy machine.
  read -r -t 2 status <&3
  (($? <= 128)) || return "$LATE"
  [[ $status == "HTTP/1."?" 200"* ]]
}

asked
case $? in
  0)
    answers
    exit
    ;;
  "$REFUSED") ;;
  "$LATE") fails end ;;
  *) fails end-soon ;;
esac
exit 1
