import { caseKey } from "./cases";
import { type CaseFigures, percentile } from "./figures";
import type { BenchResult } from "./results";

/** A figure of two generations. */
export interface Difference {
  figure: "tokens a second" | "time to first token" | "inter-token latency";
  /** The prompts at which it differs most. */
  promptTokens: number;
  /** Percent by which the new generation is slower; below 0 it is faster. The median over the requests at a time. */
  slowerPercent: number;
}

/**
 * Milliseconds of a time to first token, and between two tokens, by which a generation may be later without being slower. What is
 * faster than this arrives in bursts, and tokens a second tell more of it.
 */
const FIRST_TOKEN_MS = 10;
const INTER_TOKEN_MS = 1;

type Ratio = (now: CaseFigures, before: CaseFigures) => number | undefined;

/** By which factor each figure is worse. */
const RATIOS: Record<Difference["figure"], Ratio> = {
  "tokens a second": (now, before) => before.tokensPerSecond / now.tokensPerSecond,
  "time to first token": (now, before) =>
    later(now.firstTokenMs.p50, before.firstTokenMs.p50, FIRST_TOKEN_MS),
  "inter-token latency": (now, before) =>
    now.interTokenMs && before.interTokenMs
      ? later(now.interTokenMs.p50, before.interTokenMs.p50, INTER_TOKEN_MS)
      : undefined,
};

function later(now: number, before: number, least: number): number {
  return Math.abs(now - before) < least || before <= 0 ? 1 : now / before;
}

/**
 * The figure by which a generation is slower than another one at most, over the cases that both have. A figure is compared for each
 * length of prompts apart, by the median over the requests at a time: one disturbed case decides nothing, and a slower prefill
 * shows although short prompts hide it.
 *
 * @returns undefined without a case in common
 */
export function slowest(
  now: Pick<BenchResult, "cases">,
  before: Pick<BenchResult, "cases">,
): Difference | undefined {
  const old = new Map(before.cases.map((one) => [caseKey(one), one]));
  const pairs = now.cases.flatMap((one) => {
    const other = old.get(caseKey(one));
    return other ? [[one, other] as const] : [];
  });
  const lengths = [...new Set(pairs.map(([one]) => lengthOf(one)))];
  const groups = lengths.map((length) => pairs.filter(([one]) => lengthOf(one) === length));
  const found = groups.flatMap((group) =>
    (Object.keys(RATIOS) as Difference["figure"][]).flatMap((figure) => {
      const ratios = group.flatMap(([one, other]) => RATIOS[figure](one, other) ?? []);
      if (ratios.length === 0) return [];
      const slowerPercent = Math.round((percentile(ratios, 0.5) - 1) * 100);
      return [{ figure, promptTokens: group[0]![0].promptTokens, slowerPercent }];
    }),
  );
  return found.sort((a, b) => b.slowerPercent - a.slowerPercent)[0];
}

/** `31 % slower by its tokens a second, with prompts of 1024 tokens`. */
export function differenceWords({ figure, slowerPercent, promptTokens }: Difference): string {
  return `${slowerPercent} % slower by its ${figure}, with prompts of ${promptTokens} tokens`;
}

function lengthOf({ promptTokens, outputTokens, shared }: CaseFigures): string {
  return `${promptTokens}+${outputTokens} ${shared}`;
}
