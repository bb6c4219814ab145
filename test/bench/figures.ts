import { markdownTable } from "../../tools/markdown";

/** The value in the middle; of an even number the lower one. */
export function median(values: number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that `part` of all values do not exceed. */
export function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (value === undefined) throw new Error("there is no quantile of nothing");
  return value;
}

/** The median of what one way has of another's, turn by turn: other work comes and goes, and meets both ways of a turn alike. */
export function pairedRatio(values: number[], others: number[]): number {
  return median(values.map((value, turn) => value / others[turn]!));
}

/** Who begins takes turns too. */
export function inTurn<One>(ways: One[], turn: number): One[] {
  return turn % 2 ? ways : [...ways].reverse();
}

/** What each step of x adds to y: the line through the points with the least squares. */
export function slope(points: [x: number, y: number][]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map(([value]) => value));
  const y = mean(points.map(([, value]) => value));
  const over = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  return over / points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
}

/** A Markdown table; every column but the first holds figures. */
export function table(head: string[], rows: string[][]): string {
  return markdownTable(head, rows, { figures: true });
}

/** Milliseconds as seconds with two decimals. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}

/** A ratio beside its bar, and which of them is larger. */
export function verdict(ratio: number, bar: number): string {
  return `${ratio.toFixed(2)} (bar: at most ${bar.toFixed(1)}): ${ratio <= bar ? "met" : "MISSED"}`;
}
