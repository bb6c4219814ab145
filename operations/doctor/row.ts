import type { Problem } from "../../configs/kit/problems";
import type { BoxPlan } from "../../configs/kit/types";
import type { Facts } from "./facts";

/** One row that applies: what was found and what to do. */
export interface Finding {
  /** One sentence: what is wrong. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
}

/** A row of the table in docs/trouble.md. */
export interface Row {
  id: string;
  /** What a person notices, in a few words. */
  symptom: string;
  /** What it usually is. */
  cause: string;
  /** `note`: the box is well, and somebody should know. Default: `wrong`. */
  level?: "wrong" | "note";
  /** Nothing where the row does not apply; undefined where it could not be looked at. */
  check: (box: BoxPlan, facts: Facts) => Finding[] | undefined;
}

/** What a row says of a box. */
export interface Verdict {
  row: string;
  symptom: string;
  state: "ok" | "wrong" | "note" | "not looked at";
  findings: Finding[];
}

/** The row of a stack config that cannot be planned: nothing else can be judged by it. */
export const configRow = {
  id: "config",
  symptom: "`Pulumi.<stack>.yaml has N mistakes`",
  cause: "the stack config is wrong, or needs a secret that is not set",
};

/** Its verdict. */
export function configVerdict(problems: Problem[]): Verdict {
  const findings = problems.map(({ path, what, fix }) => ({ what: `${path}: ${what}`, fix }));
  return { row: configRow.id, symptom: configRow.symptom, state: "wrong", findings };
}

/** Judges every row, in its order. */
export function judgeRows(rows: Row[], box: BoxPlan, facts: Facts): Verdict[] {
  return rows.map(({ id, symptom, level = "wrong", check }) => {
    const findings = check(box, facts);
    const state = findings === undefined ? "not looked at" : findings.length > 0 ? level : "ok";
    return { row: id, symptom, state, findings: findings ?? [] };
  });
}

/** What a person types to bring a stack into the state of its config. */
export function upCommand({ stack }: BoxPlan): string {
  return `\`gpubox up --stack ${stack}\``;
}

/** What a person types to read the logs of a part of the box. */
export function logsCommand({ stack }: BoxPlan, of: string): string {
  return `\`gpubox logs ${of} --stack ${stack}\``;
}
