import { typed } from "../kit/text";
import { type CanaryConfig, canarySeconds } from "../schema/canary";
import type { BackendSpec } from "./context";

/** Seconds between two looks at a canary. Its valve ends a share that nobody has looked at for a minute. */
const LOOK_SECONDS = 5;
/** Looks between two lines about it. */
const TOLD = 12;
/** Looks in a row that may fail, for example while a connection to the host comes back. */
const MISSED = 6;
/** Seconds that the requests of its share get when `up` is interrupted. */
const HURRY_SECONDS = 30;

/** What a person says of a canary that runs. */
export type CanaryVerdict = "promote" | "revert";

/** What a person types to end a canary. */
function canaryCommand(stack: string, model: string, verdict: CanaryVerdict): string {
  return `gpubox model ${verdict} ${typed(model)} --stack ${stack}`;
}

/** Tells the canary of GPUBOX_VALVE what a person decided. Fails where there is none. */
export function sayToCanary(verdict: CanaryVerdict): string {
  return `docker exec "$GPUBOX_VALVE" bash /etc/gpubox/canary.sh --say ${verdict}`;
}

/**
 * Gives a stand-in its share of the requests, and waits for the verdict: then it may take all, or it ends and the step with it.
 * Part of the step that brings the stand-in up, whose function `failed` it calls.
 */
export function watchCanary(stack: string, { instance }: BackendSpec, canary: CanaryConfig): string {
  const { weight, errors, firstToken, requests } = canary;
  const at = 'docker exec "$GPUBOX_VALVES" bash /etc/gpubox/canary.sh';
  const judge = `${at} --judge ${canarySeconds(canary)} ${errors} ${firstToken || 0} ${requests}`;
  const identity = `docker inspect --format '{{.Id}}' "$GPUBOX_NEXT" 2>/dev/null`;
  return `own=$(${identity})
refused() {
  # A step that outlived its \`up\` must not end the stand-in of the next one.
  [ "$(${identity})" = "$own" ] || exit 1
  docker exec "$GPUBOX_VALVES" bash /etc/gpubox/drain.sh --next "$GPUBOX_PATIENCE" >/dev/null 2>&1
  failed "The canary of ${instance} is refused: $1."
}
trap 'trap "" INT TERM HUP; GPUBOX_PATIENCE=${HURRY_SECONDS}; refused "it was interrupted"' INT TERM HUP
said=$(${at} --share ${weight} 2>&1) || failed "$said"
echo "The canary of ${instance} gets ${weight} % of the requests for ${canary.for}. Decide before: ${canaryCommand(stack, instance, "promote")}, or ${canaryCommand(stack, instance, "revert")}"
looks=0 missed=0
while :; do
  if said=$(${judge} 2>&1); then missed=0; else
    missed=$((missed + 1))
    [ "$missed" -lt ${MISSED} ] || refused "its valve does not answer ($said)"
    said="wait $said"
  fi
  case $said in
    promote*) break ;;
    refuse*) refused "\${said#refuse }" ;;
  esac
  [ $((looks % ${TOLD})) != ${TOLD - 1} ] || echo "The canary of ${instance}: \${said#wait }"
  looks=$((looks + 1))
  sleep ${LOOK_SECONDS}
done
echo "The canary of ${instance} is promoted: \${said#promote }"
${at} --end 2>/dev/null`;
}
