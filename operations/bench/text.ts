import { table } from "../../configs/kit/table";
import type { CaseFigures } from "./figures";

const HEAD = [
  ...["AT A TIME", "PROMPT", "CACHED", "OUTPUT", "FIRST TOKEN ms", "p99"],
  ...["BETWEEN TOKENS ms", "p99", "TOKENS/s", "ANSWERED"],
];

/** The table for people: a line for each case, times as medians with their 99th percentile. */
export function figuresTable(cases: CaseFigures[]): string[] {
  const rows = cases.map((one) => [
    String(one.concurrency),
    tokens(one.promptCounted),
    one.cachedPercent === null ? "–" : `${Math.round(one.cachedPercent)} %`,
    tokens(one.outputCounted),
    milliseconds(one.firstTokenMs.p50),
    milliseconds(one.firstTokenMs.p99),
    one.interTokenMs ? milliseconds(one.interTokenMs.p50) : "–",
    one.interTokenMs ? milliseconds(one.interTokenMs.p99) : "–",
    milliseconds(one.tokensPerSecond),
    one.failed > 0 ? `${one.answered} of ${one.answered + one.failed}` : String(one.answered),
  ]);
  return table(HEAD, rows, () => true);
}

/** Three figures, and no more decimals than they have. */
export function milliseconds(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2);
}

function tokens(count: number): string {
  return String(Math.round(count));
}
