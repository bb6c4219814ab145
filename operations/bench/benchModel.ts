import { UserError } from "../../platform/process";
import { statusOfModels } from "../models/collectStatus";
import { type BenchWish, casesOf } from "./cases";
import { type Difference, slowest } from "./compare";
import type { CaseFigures } from "./figures";
import { readKept, runningGenerations, writeKept } from "./kept";
import { type BenchBox, measure } from "./measure";
import { type BenchResult, resultBefore, withResult } from "./results";
import { admittedTo, benchTarget, requireServing } from "./target";

export interface BenchOptions {
  wish: BenchWish;
  /** Seconds after which the load ends, done or not. */
  seconds: number;
  signal: AbortSignal;
  /** Gets a sentence before the load begins. */
  log: (line: string) => void;
  /** Gets the figures of each case as it ends. */
  onFigures: (figures: CaseFigures) => void;
}

/** What `gpubox bench model` says. */
export interface BenchReport {
  stack: string;
  model: string;
  /** Hash of what the model's servers are made of. */
  generation: string;
  /** What was measured now. */
  cases: CaseFigures[];
  /** The generation that was measured before this one. */
  before?: BenchResult;
  /** Where this one is slower at most, or least faster. */
  difference?: Difference;
  notes: string[];
  /** True where it was ended before its last case. */
  ended: boolean;
}

/**
 * Measures a model of a box and keeps the figures with its generation, on the host.
 *
 * @param called its public name, or an alias
 * @throws UserError when it cannot be measured
 */
export async function benchModel(
  box: BenchBox,
  called: string,
  { wish, seconds, signal, log, onFigures }: BenchOptions,
): Promise<BenchReport> {
  const { plan, config, secrets } = box;
  const target = benchTarget(config, called);
  const { name } = target;
  const all = await statusOfModels(plan, config, secrets);
  const notes = requireServing(plan, name, all);
  const admitted = admittedTo(config, name, all);
  const { cases, notes: leftOut } = casesOf(wish, admitted);
  notes.push(...leftOut);
  if (cases.length === 0)
    throw new UserError(
      `The limits of ${name} admit no load beside its clients now: ${leftOut.join("; ")}.`,
      "Try again when it has less to do, or with fewer --requests.",
    );
  const most = Math.max(...cases.map(({ concurrency }) => concurrency));
  log(
    `${name}: ${cases.length} cases with at most ${most} requests at a time${admitted.atOnce === undefined ? ", the model has no maxParallel" : ` of the ${admitted.atOnce} that maxParallel admits`}; ${seconds} s at most`,
  );
  const generation = (await runningGenerations(plan))[name] ?? "";
  const measured = await measure(box, target, { cases, seconds, signal, onFigures });
  const after = (await runningGenerations(plan))[name];
  notes.push(...measured.notes);
  if (after !== generation)
    throw new UserError(
      `The server of ${name} was replaced during the load, and the figures are of neither.`,
      "Run it again once `gpubox up` has ended.",
    );
  const report = { stack: plan.stack, model: name, generation, cases: measured.cases, notes };
  if (measured.cases.length === 0) return { ...report, ended: measured.ended };
  const before = (await readKept(plan)).find(({ model }) => model === name)?.results ?? [];
  const result = { generation, at: new Date().toISOString(), cases: measured.cases };
  const results = withResult(before, result);
  await writeKept(plan, { model: name, results });
  const other = resultBefore(results, generation);
  const difference = other && slowest(result, other);
  return {
    ...report,
    ...(other ? { before: other } : {}),
    ...(difference ? { difference } : {}),
    ended: measured.ended,
  };
}
