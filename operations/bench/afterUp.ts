import { typed } from "../../configs/kit/text";
import { modelServers } from "../../configs/plan/box";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { statusOfModels } from "../models/collectStatus";
import { casesOf, WISH } from "./cases";
import { type Difference, differenceWords, slowest } from "./compare";
import { readKept, runningGenerations, writeKept } from "./kept";
import { type BenchBox, measure } from "./measure";
import { type BenchResult, type Kept, resultBefore, withResult } from "./results";
import { admittedTo, benchTarget, requireServing } from "./target";

/** Seconds that `up` may measure one model. */
const SECONDS = 120;

/** What `up` says of the speed of a model that was measured before. */
export interface UpSpeed {
  model: string;
  /** The generation that serves. */
  generation: string;
  /** Percent by which it is slower than the one before at most; null where it was not measured. */
  slowerPercent: number | null;
}

/**
 * Tells where a model's servers are slower than those before them, by what `gpubox bench model` kept. With `bench.refusePercent` it
 * first measures servers that are new since then.
 *
 * @throws UserError when one is slower than `bench.refusePercent` allows; what serves stays
 */
export async function speedAfterUp(box: BenchBox, kept: Kept[], log: Log): Promise<UpSpeed[]> {
  const declared = kept.filter(({ model }) => modelServers(box.plan).some((one) => one.model === model));
  if (declared.length === 0) return [];
  const running = await runningGenerations(box.plan);
  const speeds: UpSpeed[] = [];
  const refused: string[] = [];
  for (const { model, results } of declared) {
    const generation = running[model];
    if (!generation) continue;
    const difference = await differenceOf(box, { model, results }, generation, log);
    const slowerPercent = difference === undefined ? null : (difference?.slowerPercent ?? 0);
    speeds.push({ model, generation, slowerPercent });
    if (!difference || difference.slowerPercent < box.config.bench.tellPercent) continue;
    const words = `${model} is ${differenceWords(difference)}, than its server before`;
    const { refusePercent } = box.config.bench;
    if (refusePercent !== undefined && difference.slowerPercent > refusePercent) refused.push(words);
    else log(`  note: ${words}`);
  }
  if (refused.length > 0)
    throw new UserError(
      `${refused.join("; ")}: bench.refusePercent allows ${box.config.bench.refusePercent} %. It serves meanwhile.`,
      `Return to the one before: \`gpubox rollback --stack ${box.plan.stack}\`. Or take it as it is: \`gpubox bench accept MODEL --stack ${box.plan.stack}\`.`,
    );
  return speeds;
}

/** Undefined where nobody knows; null where no generation before is known. */
async function differenceOf(
  box: BenchBox,
  { model, results }: Kept,
  generation: string,
  log: Log,
): Promise<Difference | null | undefined> {
  const { stack } = box.plan;
  const own = results.find((one) => one.generation === generation);
  if (own) return compared(own, resultBefore(results, generation));
  const last = results.at(-1);
  if (!last) return undefined;
  const command = `\`gpubox bench model ${typed(model)} --stack ${stack}\``;
  if (box.config.bench.refusePercent === undefined || !servesAlways(box, model)) {
    log(
      `  note: the server of ${model} is another one since its speed was measured; ${command} compares them`,
    );
    return undefined;
  }
  let cases: BenchResult["cases"] | undefined;
  try {
    cases = await measured(box, model, last, log);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`  note: the speed of ${model} could not be measured: ${error.what} ${command} tries again`);
    return undefined;
  }
  if (!cases) {
    log(`  note: the speed of ${model} was not measured; ${command} does it`);
    return undefined;
  }
  const result = { generation, at: new Date().toISOString(), cases };
  await writeKept(box.plan, { model, results: withResult(results, result) });
  return compared(result, last);
}

function compared(now: BenchResult, before: BenchResult | undefined): Difference | null {
  return (before && slowest(now, before)) ?? null;
}

/** Figures of the cases that the last result has, so that the two compare. Above the bar it measures twice. */
async function measured(
  box: BenchBox,
  model: string,
  last: BenchResult,
  log: Log,
): Promise<BenchResult["cases"] | undefined> {
  const { plan, config, secrets } = box;
  const target = benchTarget(config, model);
  const all = await statusOfModels(plan, config, secrets);
  requireServing(plan, model, all);
  const [one] = last.cases;
  if (!one) return undefined;
  const alike = last.cases.filter(
    ({ outputTokens, shared }) => outputTokens === one.outputTokens && shared === one.shared,
  );
  const wish = {
    concurrency: alike.map(({ concurrency }) => concurrency),
    promptTokens: alike.map(({ promptTokens }) => promptTokens),
    outputTokens: one.outputTokens,
    shared: one.shared,
    requests: Math.min(...alike.map(({ requests }) => requests), WISH.requests),
  };
  const { cases } = casesOf(wish, admittedTo(config, model, all));
  if (cases.length === 0) return undefined;
  log(`\nspeed of ${model}, ${SECONDS} s at most`);
  const load = () => measure(box, target, { cases, seconds: SECONDS, signal: new AbortController().signal });
  const first = (await load()).cases;
  const difference = slowest({ cases: first }, last);
  const bar = config.bench.refusePercent ?? Number.POSITIVE_INFINITY;
  if (!difference || difference.slowerPercent <= bar) return first.length > 0 ? first : undefined;
  log(`  ${model} is ${differenceWords(difference)}: measured once more`);
  const again = (await load()).cases;
  const second = slowest({ cases: again }, last);
  return second && second.slowerPercent < difference.slowerPercent ? again : first;
}

/** Whether a model is loaded at any time, without a person or a request. */
function servesAlways({ plan }: BenchBox, model: string): boolean {
  return modelServers(plan).every((one) => one.model !== model || one.start === "auto");
}

/**
 * Takes the generation of a model that serves as it is: what was measured before it no longer counts.
 *
 * @throws UserError when nothing of it was measured
 */
export async function acceptSpeed(
  box: BenchBox,
  called: string,
): Promise<{ model: string; generation: string }> {
  const { name } = benchTarget(box.config, called);
  const kept = (await readKept(box.plan)).find(({ model }) => model === name);
  const generation = (await runningGenerations(box.plan))[name];
  const own = kept?.results.find((one) => one.generation === generation);
  if (!own || !generation)
    throw new UserError(
      `The server of ${name} that runs was never measured.`,
      `Measure it: gpubox bench model ${typed(name)} --stack ${box.plan.stack}.`,
    );
  await writeKept(box.plan, { model: name, results: [own] });
  return { model: name, generation };
}
