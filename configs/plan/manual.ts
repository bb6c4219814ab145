import type { ContainerPlan } from "../kit/containerPlan";
import { existsScript, rootScript } from "../kit/hostFiles";
import { awaitHealthy } from "../kit/steps";
import { typed } from "../kit/text";

/**
 * Models that people start: `up` makes their containers and neither starts nor stops them. A replaced container would come
 * back stopped, so `gpubox model start` leaves a mark on the host, and `model stop` takes it away.
 */
function markOf(dataDir: string, container: string): string {
  return `${dataDir}/started/${container}`;
}

/** What a person types to start a model. */
export function startCommand(stack: string, model: string): string {
  return `gpubox model start ${typed(model)} --stack ${stack}`;
}

/** What a person types to stop a model. */
export function stopCommand(stack: string, model: string): string {
  return `gpubox model stop ${typed(model)} --stack ${stack}`;
}

/** Remembers that a person started a container. `container` is its logical name. */
export function rememberStarted(image: string, dataDir: string, container: string): string {
  const script = 'install -d -m 0755 "$(dirname "$1")" && : > "$1"';
  return rootScript(image, dataDir, script, [markOf(dataDir, container)]);
}

/** Forgets it again. */
export function forgetStarted(image: string, dataDir: string, container: string): string {
  return rootScript(image, dataDir, 'rm -f "$1"', [markOf(dataDir, container)]);
}

/**
 * Starts a container that has just been made in place of one that a person had started, and waits until it is healthy.
 * Takes GPUBOX_CONTAINER, GPUBOX_NAME and GPUBOX_SECONDS from the environment, as every step does.
 */
export function restoreStarted(
  image: string,
  dataDir: string,
  { health, name }: Pick<ContainerPlan, "health" | "name">,
): string {
  const started = existsScript(image, dataDir, markOf(dataDir, name));
  return `started=$(${started}) || exit 1
if [ -z "$started" ]; then
  echo "$GPUBOX_NAME is left as it is: people start it"
  exit 0
fi
docker start "$GPUBOX_CONTAINER" >/dev/null || exit 1
${awaitHealthy(health.test)}`;
}
