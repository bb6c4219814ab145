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
import { whyUnread } from "./unread";

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
  return judgeRows(rows, box, facts, whyUnread);
}

/** The rows as the table of docs/trouble.md. */
export function rowsMarkdown(): string {
  return tableOf([configRow, ...rows]);
}

/** Rows as a table: id, what one notices, what it usually is. */
export function tableOf(all: Pick<Row, "id" | "symptom" | "cause">[]): string {
  const cells = all.map(({ id, symptom, cause }) => `| \`${id}\` | ${symptom} | ${cause} |`);
  return ["| row | what one notices | what it usually is |", "| --- | --- | --- |", ...cells].join("\n");
}
