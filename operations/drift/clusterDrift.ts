import type { BoxPlan } from "../../configs/kit/types";
import { ACCESS_ROLE, BACKUP_ROLE, MIGRATION_ROLE, PROOF_ROLE } from "../../configs/plan/kubernetes/roles";
import { upCommand } from "../doctor/row";
import { type Affected, affectedBy, everybody, nobody } from "./affected";
import type { Difference, DriftReport } from "./difference";
import type { FieldFinding } from "./fields";

/** An object, by what tells it from others of the namespace. */
export interface Named {
  kind: string;
  name: string;
  /** The part of the box that it belongs to. */
  role: string;
}

/** A box on a cluster as it is, beside its plan. */
export interface ClusterDriftFacts {
  /** What the plan wants. */
  planned: Named[];
  /** What has the stack's label. What controllers make of another object is not among it. */
  found: Named[];
  /** What of planned objects differs, by {@link keyOf}. */
  fields: Record<string, FieldFinding[]>;
  /** The begin of kubectl's command lines. */
  kubectl: string;
  /** What nobody could look at. */
  notChecked: string[];
}

/** Parts whose pods no request passes. */
const ASIDE = [ACCESS_ROLE, BACKUP_ROLE, MIGRATION_ROLE, PROOF_ROLE];

/** What an object is known by. */
export function keyOf({ kind, name }: Pick<Named, "kind" | "name">): string {
  return `${kind} ${name}`;
}

/** Every difference between a cluster and a plan for it. */
export function clusterDrift(box: BoxPlan, facts: ClusterDriftFacts): DriftReport {
  const { planned, found, fields, notChecked } = facts;
  const there = new Set(found.map(keyOf));
  const wanted = new Set(planned.map(keyOf));
  const up = upCommand(box);
  const missing = planned
    .filter((one) => !there.has(keyOf(one)))
    .map(
      (one): Difference => ({
        ...{ kind: "object", subject: keyOf(one), byUp: true, affected: affectedOf(box, one) },
        what: `${keyOf(one)} is missing.`,
        fix: `Run ${up}: it makes it again.`,
      }),
    );
  const changed = planned.flatMap((one) => {
    const findings = (fields[keyOf(one)] ?? []).filter(({ path }) => !isFree(box, one, path));
    return changes(box, one, findings, facts.kubectl);
  });
  const extra = found
    .filter((one) => !wanted.has(keyOf(one)))
    .map(
      (one): Difference => ({
        ...{ kind: "undeclared object", subject: keyOf(one), byUp: false, affected: nobody },
        what: `${keyOf(one)} has the box's label, and is not in its plan.`,
        fix: `Run ${up}, which removes what it made; what is left then is yours to remove: ${facts.kubectl} delete ${one.kind.toLowerCase()} ${one.name}.`,
      }),
    );
  return {
    stack: box.stack,
    differences: [...missing, ...changed.map(({ difference }) => difference), ...extra],
    configChanged: changed.some(({ isOurs }) => isOurs),
    notChecked,
  };
}

/** A model that a person starts may run or not. */
function isFree(box: BoxPlan, { role }: Named, path: string): boolean {
  const server = box.backends.find(({ service }) => service.container.name === role);
  return path === "spec.replicas" && server?.start === "manual";
}

/** An object's differences, those that one manager set as one. */
function changes(
  box: BoxPlan,
  one: Named,
  findings: FieldFinding[],
  kubectl: string,
): { difference: Difference; isOurs: boolean }[] {
  const managers = [...new Set(findings.map(({ by }) => by.join(" and ")))];
  return managers.map((by) => {
    const same = findings.filter((finding) => finding.by.join(" and ") === by);
    const isOurs = by === "";
    const words = same.slice(0, MOST).map(fieldWords);
    const more = same.length > MOST ? [`${same.length - MOST} more`] : [];
    const paths = same.every(({ added }) => added) ? "Remove what it added" : "Set it back";
    return {
      isOurs,
      difference: {
        ...{ kind: "fields", subject: keyOf(one), byUp: isOurs, affected: affectedOf(box, one) },
        what: `${keyOf(one)} is not as planned${isOurs ? "" : `, by ${by}`}: ${[...words, ...more].join("; ")}.`,
        fix: isOurs
          ? `Run ${upCommand(box)}: it sets it.`
          : `${paths} (${kubectl} edit ${one.kind.toLowerCase()} ${one.name}), or write it into the stack's file: ${upCommand(box)} overrides nobody.`,
      },
    };
  });
}

/** Fields of an object that are named; of more, the number. */
const MOST = 4;

function fieldWords({ path, values, added }: FieldFinding): string {
  if (!values) return `it has ${path}`;
  if (added && values.planned === "nothing") return `it has ${path}`;
  if (values.found === "nothing") return `it lacks ${path}`;
  return values.found === values.planned
    ? `${path} has another text`
    : `${path} is ${values.found} instead of ${values.planned}`;
}

function affectedOf(box: BoxPlan, { role, kind }: Named): Affected {
  if (ASIDE.includes(role)) return nobody;
  return kind === "Namespace" ? everybody : affectedBy(box, role);
}
