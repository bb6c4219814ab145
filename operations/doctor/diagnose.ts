import type { BoxPlan } from "../../configs/kit/types";
import { containerRows } from "./containers";
import type { Facts } from "./facts";
import { hostRows } from "./host";
import { remoteRows } from "./remote";
import { requestRows } from "./requests";
import { restartRows } from "./restarts";
import { routingRows } from "./routing";
import { configRow, judge, type Row, type Verdict } from "./row";

/** Every row, from what everything depends on to what single clients do. */
export const rows: Row[] = [
  ...remoteRows,
  ...containerRows,
  ...restartRows,
  ...routingRows,
  ...hostRows,
  ...requestRows,
];

/** What each row says of a box. */
export function diagnose(box: BoxPlan, facts: Facts): Verdict[] {
  return judge(rows, box, facts);
}

/** The rows as the table of docs/trouble.md: id, what one notices, what it usually is. */
export function rowsMarkdown(): string {
  const cells = [configRow, ...rows].map(({ id, symptom, cause }) => `| \`${id}\` | ${symptom} | ${cause} |`);
  return ["| row | what one notices | what it usually is |", "| --- | --- | --- |", ...cells].join("\n");
}
