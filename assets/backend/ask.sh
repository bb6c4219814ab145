# Asks the engine of this container over HTTP, with bash alone: no other program is in every engine's image.
#
#   bash ask.sh PORT PATH [BODY]     prints the body of a 200
#
# Ends with 0 for a 200, with 1 for another answer, with 2 for none. The key comes from the engine's own file.

key=
read -r key 2>/dev/null </etc/gpubox/api-key
[[ ! -r /etc/gpubox/backend.env ]] || { source /etc/gpubox/backend.env && key=${VLLM_API_KEY:-}; }
[[ ! -r /etc/gpubox/sglang.yaml ]] || key=$(sed -n 's/^api-key: "\(.*\)"$/\1/p' /etc/gpubox/sglang.yaml)

exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 2
LC_ALL=C
body=${3:-}
{
  if [[ -n $body ]]; then
    printf 'POST %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n' "$2" "${#body}"
  else
    printf 'GET %s HTTP/1.0\r\n' "$2"
  fi
  printf 'Host: localhost\r\nAuthorization: Bearer %s\r\n\r\n%s' "$key" "$body"
} >&3
read -r status <&3 || exit 2
[[ $status == *" 200"* ]] || exit 1
while IFS= read -r line <&3 && [[ ${line%$'\r'} ]]; do :; done
cat <&3
