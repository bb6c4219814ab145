import type { Spanning } from "../../configs/engines/nodes";
import type { BoxPlan } from "../../configs/kit/types";
import { engineAddress } from "../../configs/network/engine";
import { valveName } from "../../configs/plan/valve";
import type { StackConfig } from "../../configs/stack/config";
import { backendName } from "../../configs/stack/instances";
import { dockerAt } from "../../platform/docker/client";
import { closeValves, openValves } from "../../platform/docker/valves";
import type { Log } from "../../platform/project";

/** Seconds that running requests get before rank 0 stops: the longest that LiteLLM allows one. */
const DRAIN_SECONDS = 600;

/** The stacks of the other hosts that a stack's models span, each once. */
export function spannedStacks({ models }: StackConfig): string[] {
  const stacks = Object.values(models).flatMap((model) => (model as Spanning).nodes?.workers ?? []);
  return [...new Set(stacks.map(({ stack }) => stack))];
}

/**
 * Brings up the other hosts that a stack's models span, before the stack itself: their ranks then wait for its own. A rank that
 * changes takes the model with it, so rank 0 ends what it has and stops first. If that host does not come up, rank 0 is started
 * again: where the rank there is still the one before, both serve on.
 *
 * @param bringUp brings one stack up, and runs what it is given before anything changes
 */
export async function bringUpWorkers(
  config: StackConfig,
  log: Log,
  bringUp: (stack: string, beforeChange: (plan: BoxPlan) => Promise<void>) => Promise<unknown>,
): Promise<void> {
  for (const stack of spannedStacks(config)) {
    log(`gpubox: models of ${config.stack} span the host of ${stack}, which comes first`);
    const stopped: string[] = [];
    try {
      await bringUp(stack, async (plan) => {
        for (const model of await changedRanks(config.stack, plan))
          if (await stopRank0(config, model, log)) stopped.push(model);
      });
    } catch (error) {
      for (const model of stopped) await dockerAt(engineAddress(config)).run(["start", rank0(config, model)]);
      throw error;
    }
  }
}

/** Models of a stack whose ranks on another host run, and are not as that host's plan has them. */
async function changedRanks(stack: string, { workers, prefix, docker }: BoxPlan): Promise<string[]> {
  const format = '{{index .Config.Labels "gpubox.spec"}}';
  const asked = workers
    .filter((worker) => worker.stack === stack)
    .map(async ({ model, service: { container } }) => {
      const args = ["inspect", "--format", format, `${prefix}-${container.name}`];
      const { code, stdout } = await dockerAt(docker).run(args);
      return code === 0 && stdout.trim() !== container.labels["gpubox.spec"] ? [model] : [];
    });
  return (await Promise.all(asked)).flat();
}

/** False where it does not run. */
async function stopRank0(config: StackConfig, model: string, log: Log): Promise<boolean> {
  const docker = engineAddress(config);
  const { stdout } = await dockerAt(docker).run([
    "inspect",
    "--format",
    "{{.State.Running}}",
    rank0(config, model),
  ]);
  if (stdout.trim() !== "true") return false;
  log(`${model}: a rank on another host changes, so all of them stop; from now on it does not answer`);
  const valves = [`gpubox-${config.stack}-${valveName(model)}`];
  for (const line of await closeValves(docker, valves, DRAIN_SECONDS)) log(line);
  // By the container's own grace.
  await dockerAt(docker).output(["stop", rank0(config, model)]);
  await openValves(docker, valves);
  return true;
}

function rank0({ stack }: StackConfig, model: string): string {
  return `gpubox-${stack}-${backendName(model)}`;
}
