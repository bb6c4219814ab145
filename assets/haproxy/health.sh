# Health check of the edge's and the valves' containers: HAProxy itself answers. What lies behind it is not asked: an edge
# without a gateway is healthy, it holds requests. Needs bash only; neither Debian's nor the official image has curl.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/4002
printf 'GET / HTTP/1.0\r\n\r\n' >&3
read -r -t 3 status <&3
[[ $status == "HTTP/1."?" 200"* ]]
