import type { ContainerPlan, ServicePlan } from "./containerPlan";
import { STEP_LIMIT } from "./processes";
import { shellQuote } from "./text";

/**
 * Steps on the host as POSIX sh, the same under Pulumi and under Compose. They take names from the environment:
 * GPUBOX_CONTAINER, GPUBOX_DRAIN, GPUBOX_EDGE, GPUBOX_GATEWAYS, GPUBOX_NAME, GPUBOX_NEXT, GPUBOX_PATIENCE, GPUBOX_PROCESSES,
 * GPUBOX_SECONDS, GPUBOX_VALVES.
 */

/** Seconds from the start of a wait in which the step asks twice a second; most parts are ready by then. */
const EAGER_SECONDS = 10;

/** Seconds between its later questions: a model that loads for minutes has other things to do. */
const ASK_SECONDS = 3;

/** Lines of a container's log that a step shows when it gives up, and those among which it looks for errors. */
const LAST_WORDS = 15;
const LOOKED_THROUGH = 2000;

/** Runs a health check in the container at once. One that does not end by itself fails after two seconds. */
function ask([how, ...words]: string[]): string {
  const test = how === "CMD-SHELL" ? ["sh", "-c", ...words] : words;
  return `docker exec "$GPUBOX_CONTAINER" timeout 2 ${test.map(shellQuote).join(" ")} >/dev/null 2>&1`;
}

/**
 * Waits until a container is healthy, ends early when it exits, and shows its last log lines, and errors before them: a server of
 * several processes ends with words like "see root cause above". It asks the container itself, because Docker looks seldom. It names an
 * out-of-memory kill itself, because a killed process logs nothing. It keeps that fact between checks, because some Docker versions no
 * longer report it after the restart. After a restart only Docker's look counts.
 *
 * @param test the container's health check
 */
export function awaitHealthy(test: string[]): string {
  return `begin=$(date +%s) asked=0 killed=
end=$((begin + GPUBOX_SECONDS))
answers() {
  now=$(date +%s)
  [ "$now" -lt $((begin + ${EAGER_SECONDS})) ] || [ "$now" -ge $((asked + ${ASK_SECONDS})) ] || return 1
  asked=$now
  ${ask(test)}
}
while :; do
  state=$(docker inspect --format '{{.State.Status}} {{.State.Health.Status}} {{.RestartCount}} {{.State.OOMKilled}} {{.HostConfig.Memory}}' "$GPUBOX_CONTAINER") || exit 1
  memory="\${state##* }" state="\${state% *}"
  case "$state" in *" true") killed="was killed for lack of memory (memoryMiB $((memory / 1048576))): give it more, or let it need less" ;; esac
  state="\${state% *}"
  case "$state" in "running starting 0"|"running unhealthy 0") answers && exit 0 ;; esac
  case "$state" in
    "running healthy "*) exit 0 ;;
    "running "*" "[0-2]|"created "*|"restarting "*" "[0-2]) reason="is not healthy after $GPUBOX_SECONDS s" ;;
    *) reason="ended ($state)"; end=0 ;;
  esac
  [ "$(date +%s)" -lt "$end" ] && sleep 0.5 && continue
  echo "$GPUBOX_NAME \${killed:-$reason}. Its last words:" >&2
  docker logs --tail ${LOOKED_THROUGH} "$GPUBOX_CONTAINER" 2>&1 | awk '
    { line[NR] = $0 }
    END {
      earlier = NR > ${LAST_WORDS} ? NR - ${LAST_WORDS} : 0
      for (i = 1; i <= earlier; i++)
        if (match(line[i], /[A-Za-z_.]*(Error|Exception): .+/) && !told[said = substr(line[i], RSTART, 300)]++) error[++errors] = said
      for (; i <= NR; i++) print line[i]
      if (errors) print "Errors that it told before:"
      for (i = errors > 3 ? errors - 2 : 1; i <= errors; i++) print error[i]
    }' >&2
  exit 1
done`;
}

/**
 * Proves a new generation. The serving generation's description comes on standard input, so that only new or changed models
 * are proven by a request. If the gateway never becomes ready, the step shows its last log lines, and at the end LiteLLM's own
 * validation gives the reason in one sentence: LiteLLM logs a traceback as one line of JSON that ends with the reason. Once the
 * gateway is ready, the proof's own reason is the last line. GPUBOX_IN_PLACE is set where the new gateway took the place of the old.
 */
export const PROVE = `serving=$(docker exec "$GPUBOX_EDGE" cat /var/lib/gpubox/serving.json 2>/dev/null)
said=$(printf '%s\\n' "$serving" | docker exec -i "$GPUBOX_CONTAINER" python3 /etc/gpubox/prove.py --deadline "$GPUBOX_SECONDS" 2>&1)
code=$?
[ "$code" != 0 ] || { printf '%s\\n' "$said"; exit 0; }
if [ -n "\${GPUBOX_IN_PLACE:-}" ]; then echo "Under Compose the edge sends to it all the same, and no earlier gateway goes on." >&2
elif [ -n "$serving" ]; then echo "The new gateway is not served; what served before goes on." >&2
else echo "The new gateway is not served, and none served before." >&2; fi
case "$said" in *"proven: ready"*)
  docker logs "$GPUBOX_CONTAINER" 2>&1 | grep -o 'Skipping guardrail[^"]*' | sort -u | cut -c1-400 >&2
  printf '%s\\n' "$said" >&2
  exit 1 ;;
esac
printf '%s\\n' "$said" >&2
echo "Its last words:" >&2
docker logs --tail 40 "$GPUBOX_CONTAINER" 2>&1 | sed 's/\\\\n/\\n/g' | grep -v '[█╚]' | grep . | tail -n 12 | cut -c1-400 >&2
docker run --rm --network none ${STEP_LIMIT} --volumes-from "$GPUBOX_CONTAINER:ro" --user 65534:65534 --cap-drop ALL --tmpfs /tmp \\
  --env HOME=/tmp --env LITELLM_LOCAL_MODEL_COST_MAP=True --entrypoint sh \\
  "$(docker inspect --format '{{.Image}}' "$GPUBOX_CONTAINER")" /etc/gpubox/entrypoint.sh --validate_config 2>&1 |
  grep 'config validation failed' | cut -c1-400 >&2
exit 1`;

/**
 * Switches the edge to the proven gateways, whose names are in GPUBOX_GATEWAYS, and records the generation's description, which
 * comes on standard input.
 */
export const SWITCH = `docker exec -i "$GPUBOX_EDGE" sh -c \\
  'bash /etc/gpubox/switch.sh "$@" < /dev/null && umask 027 && cd /var/lib/gpubox && head -n 1 > serving.json.new && mv -f serving.json.new serving.json' \\
  switch $GPUBOX_GATEWAYS`;

/**
 * Waits until the previous gateways have answered all their requests, and reports how many are left. After GPUBOX_SECONDS it
 * counts and cuts the rest. It never fails, because a slow drain is no reason to undo a change that already serves. It tells
 * drained gateways so: they need not wait until the edge has noticed that they go.
 */
export const DRAIN = `end=$(($(date +%s) + GPUBOX_SECONDS)) before=
draining() { docker exec "$GPUBOX_EDGE" bash /etc/gpubox/switch.sh --status | awk '$3 == "draining" && $4 > 0 { print $2, $4 }'; }
left_behind() {
  stack=$(docker inspect --format '{{index .Config.Labels "gpubox.stack"}}' "$GPUBOX_EDGE")
  docker ps --filter "label=gpubox.stack=$stack" --filter label=gpubox.role=gateway --format '{{.Names}}' |
    while read -r gateway; do
      case " $GPUBOX_GATEWAYS " in *" $gateway "*) ;; *) docker exec "$gateway" touch /tmp/drained ;; esac
    done
}
while :; do
  now=$(draining) || exit 0
  left=$(printf '%s\\n' "$now" | awk '{ n += $2 } END { print n + 0 }')
  [ "$left" = 0 ] && { [ -z "$before" ] || echo "drained"; left_behind; exit 0; }
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "$left requests did not end within $GPUBOX_SECONDS s and are cut"
    printf '%s\\n' "$now" | while read -r gateway _; do docker kill "$gateway" >/dev/null; done
    exit 0
  fi
  [ "$left" = "$before" ] || echo "$left requests left to drain"
  before=$left
  sleep 1
done`;

/**
 * Closes the valves before a model server that is about to stop: engines answer new requests with errors from their stop signal
 * on, while their health check still passes. With GPUBOX_NAME, the server's, one stays open that leads to another server by now: a
 * model that joins a slot keeps its valve. Waits at most GPUBOX_DRAIN seconds for what runs, and cuts the rest. It never fails,
 * because a valve that does not run sends nothing.
 */
export const CLOSE = `for valve in $GPUBOX_VALVES; do
  server=$(docker exec "$valve" awk '$1 == "server" && $2 == "backend" { print $3 }' /etc/gpubox/haproxy.cfg 2>/dev/null)
  case $GPUBOX_NAME/$server in /* | */ | "$GPUBOX_NAME/$GPUBOX_NAME":* | */group-*) ;; *) continue ;; esac
  { docker exec "$valve" bash /etc/gpubox/drain.sh "$GPUBOX_DRAIN" 2>/dev/null || echo "its valve does not run: nothing is drained"; } &
done
wait`;

/** Opens them again. From then on they go by the server's health. One that does not run starts open. */
export const OPEN = `for valve in $GPUBOX_VALVES; do docker exec "$valve" bash /etc/gpubox/drain.sh --undo >/dev/null 2>&1; done`;

/** Ends a stand-in once the server itself gets the requests again, and what the stand-in has is answered. */
export const RELIEVE = `docker inspect "$GPUBOX_NEXT" >/dev/null 2>&1 || exit 0
docker exec "$GPUBOX_VALVES" bash /etc/gpubox/drain.sh --await 60 || exit 1
docker exec "$GPUBOX_VALVES" bash /etc/gpubox/drain.sh --next "$GPUBOX_PATIENCE"
docker stop "$GPUBOX_NEXT" >/dev/null
docker rm -f "$GPUBOX_NEXT" >/dev/null`;

/** Least number of seconds that running requests get before a model server stops: as long as the new ones are held. */
const DRAIN_SECONDS = 30;

/** Seconds that running requests get before a model server stops, and what it needs itself after its stop signal follows. */
export function drainSeconds({ stopGraceSeconds }: Pick<ContainerPlan, "stopGraceSeconds">): number {
  return Math.max(DRAIN_SECONDS, stopGraceSeconds);
}

/** What {@link CLOSE} and {@link OPEN} take from the environment for one service; nothing for one without valves. */
export function valvesOf(
  prefix: string,
  { valves, container, standIn }: ServicePlan,
): Record<string, string> {
  if (!valves) return {};
  return {
    ...(standIn
      ? { GPUBOX_NEXT: `${prefix}-${standIn.name}`, GPUBOX_PATIENCE: String(standIn.drainSeconds) }
      : {}),
    GPUBOX_VALVES: valves.map((valve) => `${prefix}-${valve}`).join(" "),
    GPUBOX_DRAIN: String(drainSeconds(container)),
  };
}

/** What the step that brings a stand-in up takes from the environment, and the seconds that it may take. */
export function standInSteps(prefix: string, service: ServicePlan) {
  const { name, readySeconds } = service.container;
  const { drainSeconds = 0, canarySeconds = 0 } = service.standIn ?? {};
  return {
    environment: {
      ...valvesOf(prefix, service),
      GPUBOX_CONTAINER: `${prefix}-${name}`,
      GPUBOX_NAME: service.standIn?.name ?? name,
      GPUBOX_SECONDS: String(readySeconds),
    },
    // Its load, its proof, its canary, and the old server's drain.
    seconds: 2 * readySeconds + canarySeconds + drainSeconds + 120,
  };
}

/** Makes an edge or a valve load its current files without losing a connection. */
export const RELOAD = 'docker exec "$GPUBOX_CONTAINER" bash /etc/gpubox/reload.sh';

/**
 * Renews the edge's certificate now if it is due, so that a certificate that cannot be had fails this step with the reason,
 * then waits as {@link awaitHealthy} does.
 */
export function renewAndAwaitHealthy(test: string[]): string {
  return `docker exec "$GPUBOX_CONTAINER" sh /etc/gpubox/renew.sh && ( ${awaitHealthy(test)} )`;
}

/**
 * Limits a container's processes before a step waits for it. Compose sets the limit when it creates the container; the Docker
 * provider has no input for it. Docker keeps the limit over restarts. It refuses to set one while the container restarts, so a
 * container that came up only at its second try gets its limit after the step.
 */
export function limited(step: string): string {
  const limit = 'docker update --pids-limit "$GPUBOX_PROCESSES" "$GPUBOX_CONTAINER"';
  return `limited=$(${limit} 2>/dev/null)
( ${step}
) || exit 1
[ -n "$limited" ] || ${limit} >/dev/null`;
}

/** The step after which a service counts as ready, with its present files. */
export function readyStep({
  container,
  gate,
  reloads,
  valves,
  standIn,
}: Pick<ServicePlan, "container" | "gate" | "reloads" | "valves" | "standIn">): string {
  if (gate) return gate;
  const healthy = awaitHealthy(container.health.test);
  if (standIn) return `${OPEN}\n( ${healthy} ) || exit 1\n${RELIEVE}`;
  if (valves) return `${OPEN}\n${healthy}`;
  return reloads ? `( ${healthy} ) && ${RELOAD}` : healthy;
}
