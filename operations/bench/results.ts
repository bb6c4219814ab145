import { z } from "zod";
import { caseKey } from "./cases";
import { type CaseFigures, figuresSchema } from "./figures";

/** What one generation of a model's servers showed. */
export const resultSchema = z.object({
  /** Hash of what its servers are made of. */
  generation: z.string(),
  /** When it was measured last. */
  at: z.iso.datetime(),
  cases: z.array(figuresSchema),
});

export type BenchResult = z.infer<typeof resultSchema>;

/** The results of a model, one for each generation, in the order in which they were measured. */
export const keptSchema = z.object({ model: z.string(), results: z.array(resultSchema) });

export type Kept = z.infer<typeof keptSchema>;

/** Generations of a model that stay. */
const MOST = 10;

/**
 * Puts a result to those of its model. Where its generation was measured before, cases that are not measured again stay, and the
 * generation becomes the newest.
 */
export function withResult(results: BenchResult[], result: BenchResult): BenchResult[] {
  const before = results.find(({ generation }) => generation === result.generation);
  const again = new Set(result.cases.map(caseKey));
  const left = before?.cases.filter((one) => !again.has(caseKey(one))) ?? [];
  const others = results.filter((one) => one !== before);
  return [...others, { ...result, cases: sorted([...left, ...result.cases]) }].slice(-MOST);
}

/** The generation that was measured before another one; undefined without one, and where that was never measured. */
export function resultBefore(results: BenchResult[], generation: string): BenchResult | undefined {
  const index = results.findIndex((one) => one.generation === generation);
  return index > 0 ? results[index - 1] : undefined;
}

function sorted(cases: CaseFigures[]): CaseFigures[] {
  return cases.sort(
    (a, b) =>
      Number(a.shared) - Number(b.shared) ||
      a.outputTokens - b.outputTokens ||
      a.concurrency - b.concurrency ||
      a.promptTokens - b.promptTokens,
  );
}
