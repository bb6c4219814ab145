import type { Problem } from "../../configs/kit/problems";
import { typed } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import type { Facts } from "./facts";

/** A problem that a row found, and its fix. */
export interface Finding {
  /** One sentence: what is wrong. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
}

/** A row of the table in docs/trouble.md, or of that in docs/kubernetes.md. */
export interface Row<Seen = Facts> {
  id: string;
  /** What the user sees, in a few words. */
  symptom: string;
  /** The usual cause. */
  cause: string;
  /** `note`: the box is healthy, but somebody should know. Default: `wrong`. */
  level?: "wrong" | "note";
  /** Empty when nothing is wrong; undefined when the doctor could not look. */
  check: (box: BoxPlan, facts: Seen) => Finding[] | undefined;
}

/** The result of one row. */
export interface Verdict {
  row: string;
  symptom: string;
  state: "ok" | "wrong" | "note" | "not looked at";
  /** Why nobody could look, as half a sentence. */
  because?: string;
  findings: Finding[];
}

/** The row of a stack config that cannot be planned. The doctor checks no other row then. */
export const configRow = {
  id: "config",
  symptom: "`Pulumi.<stack>.yaml has N mistakes`",
  cause: "the stack config is wrong, or needs a secret that is not set",
};

/** The result of that row. */
export function configVerdict(problems: Problem[]): Verdict {
  const findings = problems.map(({ path, what, fix }) => ({ what: `${path}: ${what}`, fix }));
  return { row: configRow.id, symptom: configRow.symptom, state: "wrong", findings };
}

/**
 * Checks every row, in order.
 *
 * @param why a row could not be judged, as half a sentence
 */
export function judgeRows<Seen>(
  rows: Row<Seen>[],
  box: BoxPlan,
  facts: Seen,
  why: (row: string, facts: Seen) => string,
): Verdict[] {
  return rows.map(({ id, symptom, level = "wrong", check }) => {
    const findings = check(box, facts);
    if (findings === undefined)
      return { row: id, symptom, state: "not looked at", because: why(id, facts), findings: [] };
    return { row: id, symptom, state: findings.length > 0 ? level : "ok", findings };
  });
}

/** The command that deploys a stack's config. */
export function upCommand({ stack }: BoxPlan): string {
  return `\`gpubox up --stack ${stack}\``;
}

/** The command that prints the logs of a part of the box. */
export function logsCommand({ stack }: BoxPlan, of: string): string {
  return `\`gpubox logs ${typed(of)} --stack ${stack}\``;
}
