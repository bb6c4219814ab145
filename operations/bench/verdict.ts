import type { BenchConfig } from "../../configs/schema/bench";
import { type Difference, differenceWords, slowest } from "./compare";
import { type BenchResult, resultBefore } from "./results";

/** What is to be said of the speed of a model's servers. */
export interface Verdict {
  /** `unmeasured`: these servers never were. `fine`: also where nothing is known of those before, or of the same cases. */
  kind: "unmeasured" | "fine" | "slower" | "refused";
  /** How they differ from those before most; absent where nobody knows. */
  difference?: Difference;
}

/**
 * Judges the servers of a model by what was measured of them and of those before them.
 *
 * @param generation the servers that run
 */
export function verdictOf(results: BenchResult[], generation: string, bench: BenchConfig): Verdict {
  const now = results.find((one) => one.generation === generation);
  if (!now) return { kind: "unmeasured" };
  const before = resultBefore(results, generation);
  const difference = before && slowest(now, before);
  return { kind: difference ? kindOf(difference, bench) : "fine", ...(difference && { difference }) };
}

/** Exactly at a bar is within it. */
export function kindOf(
  { slowerPercent }: Difference,
  { tellPercent, refusePercent = Number.POSITIVE_INFINITY }: BenchConfig,
): "fine" | "slower" | "refused" {
  if (slowerPercent > refusePercent) return "refused";
  return slowerPercent > tellPercent ? "slower" : "fine";
}

/** `tiny is 31 % slower by its tokens a second, with prompts of 1024 tokens, than its server before`. */
export function slowerWords(model: string, difference: Difference): string {
  return `${model} is ${differenceWords(difference)}, than its server before`;
}
