import type { BoxPlan } from "../../configs/kit/types";
import { containerRows } from "./containers";
import type { Facts } from "./facts";
import { hostRows } from "./host";
import { remoteRows } from "./remote";
import { requestRows } from "./requests";
import { restartRows } from "./restarts";
import { routingRows } from "./routing";
import { configRow, judgeRows, type Row, type Verdict } from "./row";
import { standingRows } from "./standing";

/** Every row. Those that everything depends on come first, mistakes of single clients last. */
export const rows: Row[] = [
  ...remoteRows,
  ...standingRows,
  ...containerRows,
  ...restartRows,
  ...routingRows,
  ...hostRows,
  ...requestRows,
];

/** Checks a box with every row. */
export function diagnose(box: BoxPlan, facts: Facts): Verdict[] {
  return judgeRows(rows, box, facts);
}

/** The rows as the table of docs/trouble.md: id, what one notices, what it usually is. */
export function rowsMarkdown(): string {
  const cells = [configRow, ...rows].map(({ id, symptom, cause }) => `| \`${id}\` | ${symptom} | ${cause} |`);
  return ["| row | what one notices | what it usually is |", "| --- | --- | --- |", ...cells].join("\n");
}
