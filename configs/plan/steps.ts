/**
 * Steps on the host as POSIX sh, the same under Pulumi and under Compose. They take names from the environment:
 * GPUBOX_CONTAINER, GPUBOX_EDGE, GPUBOX_NAME, GPUBOX_SECONDS.
 */

/** Waits for Docker's health check, ends early when the container does, and shows its last words. */
export const AWAIT_HEALTHY = `end=$(($(date +%s) + GPUBOX_SECONDS))
while :; do
  state=$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}} {{.RestartCount}}' "$GPUBOX_CONTAINER") || exit 1
  case "$state" in
    "running healthy "*) exit 0 ;;
    "running "*" "[0-2]|"created "*|"restarting "*" "[0-2]) reason="is not healthy after $GPUBOX_SECONDS s" ;;
    *) reason="ended ($state)"; end=0 ;;
  esac
  [ "$(date +%s)" -lt "$end" ] && sleep 0.5 && continue
  echo "$GPUBOX_NAME $reason. Its last words:" >&2
  docker logs --tail 15 "$GPUBOX_CONTAINER" >&2
  exit 1
done`;

/** The generation that serves now goes in on standard input: only what is new or changed against it is proven by a request. */
export const PROVE = `serving=$(docker exec "$GPUBOX_EDGE" cat /var/lib/gpubox/serving.json 2>/dev/null)
printf %s "$serving" | docker exec -i "$GPUBOX_CONTAINER" python3 /etc/gpubox/prove.py --deadline "$GPUBOX_SECONDS" || {
  echo "The new gateway is not served. Its last words:" >&2
  docker logs --tail 15 "$GPUBOX_CONTAINER" >&2
  exit 1
}`;

/** Moves the edge to a proven gateway and records there what it serves. */
export const SWITCH = `set -e
docker exec "$GPUBOX_EDGE" bash /etc/gpubox/switch.sh "$GPUBOX_CONTAINER"
generation=$(docker exec "$GPUBOX_CONTAINER" cat /etc/gpubox/generation.json)
printf %s "$generation" | docker exec -i "$GPUBOX_EDGE" sh -c \\
  'cat > /var/lib/gpubox/serving.json.new && mv -f /var/lib/gpubox/serving.json.new /var/lib/gpubox/serving.json'`;

/** Lets the edge take its present files without losing a connection. */
export const RELOAD = 'docker exec "$GPUBOX_EDGE" bash /etc/gpubox/reload.sh';
