import { typed } from "../../configs/kit/text";
import { modelServers } from "../../configs/plan/box";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { statusOfModels } from "../models/collectStatus";
import { casesOf, WISH } from "./cases";
import { slowest } from "./compare";
import { runningGenerations, writeKept } from "./kept";
import { type BenchBox, measure } from "./measure";
import { type BenchResult, type Kept, withResult } from "./results";
import { admittedTo, benchTarget, requireServing } from "./target";
import { kindOf, slowerWords, verdictOf } from "./verdict";

/** Seconds that `up` may measure one model at a time. */
const SECONDS = 120;

/** What `up` says of the speed of a model that was measured before. */
export interface UpSpeed {
  model: string;
  /** The generation that serves. */
  generation: string;
  verdict: "unmeasured" | "fine" | "slower";
  /** Percent by which it is slower than the one before at most; null where nobody knows. */
  slowerPercent: number | null;
}

/**
 * Tells where a model's servers are slower than those before them, by what `gpubox bench model` kept. With `bench.refusePercent` it
 * first measures servers that are new since then.
 *
 * @throws UserError when one is slower than `bench.refusePercent` allows; what serves stays
 */
export async function speedAfterUp(box: BenchBox, kept: Kept[], log: Log): Promise<UpSpeed[]> {
  const { bench } = box.config;
  const { stack } = box.plan;
  const declared = kept.filter(({ model }) => modelServers(box.plan).some((one) => one.model === model));
  if (declared.length === 0) return [];
  const running = await runningGenerations(box.plan);
  const speeds: UpSpeed[] = [];
  const refused: string[] = [];
  for (const { model, results } of declared) {
    const generation = running[model];
    if (!generation) continue;
    let verdict = verdictOf(results, generation, bench);
    if (verdict.kind === "unmeasured" && bench.refusePercent !== undefined && servesAlways(box, model))
      verdict = verdictOf(await measured(box, { model, results }, generation, log), generation, bench);
    const { kind, difference } = verdict;
    if (kind === "unmeasured")
      log(
        `  note: the server of ${model} is another one since its speed was measured; \`gpubox bench model ${typed(model)} --stack ${stack}\` compares them`,
      );
    if (kind === "slower" && difference) log(`  note: ${slowerWords(model, difference)}`);
    if (kind === "refused") refused.push(difference ? slowerWords(model, difference) : model);
    else speeds.push({ model, generation, verdict: kind, slowerPercent: difference?.slowerPercent ?? null });
  }
  if (refused.length > 0)
    throw new UserError(
      `${refused.join("; ")}: gpubox:bench.refusePercent allows ${bench.refusePercent} %. It serves meanwhile.`,
      `Undo its change and run \`gpubox up\`, or take it as it is: \`gpubox bench accept MODEL --stack ${stack}\`.`,
    );
  return speeds;
}

/** The results of a model with those of the servers that run now; as they are where these cannot be measured. */
async function measured(
  box: BenchBox,
  { model, results }: Kept,
  generation: string,
  log: Log,
): Promise<BenchResult[]> {
  const last = results.at(-1);
  if (!last) return results;
  try {
    log(`\nspeed of ${model}, ${SECONDS} s at most`);
    const cases = await compared(box, model, last, log);
    if (cases.length === 0) return results;
    const all = withResult(results, { generation, at: new Date().toISOString(), cases });
    await writeKept(box.plan, { model, results: all });
    return all;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`  note: the speed of ${model} could not be measured: ${error.what}`);
    return results;
  }
}

/** Figures of the cases that the last result has, so that the two compare. Above the bar it measures twice, and the faster counts. */
async function compared(
  box: BenchBox,
  model: string,
  last: BenchResult,
  log: Log,
): Promise<BenchResult["cases"]> {
  const { plan, config, secrets } = box;
  const target = benchTarget(config, model);
  const all = await statusOfModels(plan, config, secrets);
  requireServing(plan, model, all);
  const { cases } = casesOf(wishOf(last), admittedTo(config, model, all));
  if (cases.length === 0) return [];
  const load = async () => {
    const { signal } = new AbortController();
    return (await measure(box, target, { cases, seconds: SECONDS, signal })).cases;
  };
  const first = await load();
  const difference = slowest({ cases: first }, last);
  if (!difference || kindOf(difference, config.bench) !== "refused") return first;
  log(`  ${slowerWords(model, difference)}: measured once more`);
  const again = await load();
  const second = slowest({ cases: again }, last);
  return second && second.slowerPercent < difference.slowerPercent ? again : first;
}

/** What asks for the cases of a result again: those of its first kind, where somebody measured several. */
export function wishOf({ cases }: Pick<BenchResult, "cases">) {
  const [one] = cases;
  const { outputTokens, shared } = one ?? WISH;
  const alike = cases.filter((other) => other.outputTokens === outputTokens && other.shared === shared);
  return {
    concurrency: alike.map(({ concurrency }) => concurrency),
    promptTokens: alike.map(({ promptTokens }) => promptTokens),
    outputTokens,
    shared,
    requests: Math.min(...alike.map(({ requests }) => requests), WISH.requests),
  };
}

/** Whether a model is loaded at any time, without a person or a request. */
function servesAlways({ plan }: BenchBox, model: string): boolean {
  return modelServers(plan).every((one) => one.model !== model || one.start === "auto");
}
