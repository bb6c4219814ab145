import { typed } from "../../configs/kit/text";
import { UserError } from "../../platform/process";
import { readKept, runningGenerations, writeKept } from "./kept";
import type { BenchBox } from "./measure";
import { benchTarget } from "./target";

/**
 * Takes the servers of a model that run as they are: what was measured before them no longer counts.
 *
 * @param called the model's public name, or an alias
 * @throws UserError when these servers were never measured
 */
export async function acceptSpeed(
  { plan, config }: Pick<BenchBox, "plan" | "config">,
  called: string,
): Promise<{ model: string; generation: string }> {
  const { name } = benchTarget(config, called);
  const kept = (await readKept(plan)).find(({ model }) => model === name);
  const generation = (await runningGenerations(plan))[name];
  if (!generation)
    throw new UserError(
      `No server of ${name} runs.`,
      `Run \`gpubox models status --stack ${plan.stack}\`, which says why.`,
    );
  const own = kept?.results.find((one) => one.generation === generation);
  if (!own)
    throw new UserError(
      `The server of ${name} that runs was never measured.`,
      `Measure it: gpubox bench model ${typed(name)} --stack ${plan.stack}.`,
    );
  await writeKept(plan, { model: name, results: [own] });
  return { model: name, generation };
}
