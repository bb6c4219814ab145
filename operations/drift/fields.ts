import { z } from "zod";

/** Fields of an object as an API server notes who set them: `f:name`, `k:{"name":"main"}`, `v:"x"`. */
export type FieldSet = { [key: string]: FieldSet };

const fieldSet: z.ZodType<FieldSet> = z.lazy(() => z.record(z.string(), fieldSet));

/** Who set which fields. */
export const managedFields = z
  .array(
    z.object({ manager: z.string(), subresource: z.string().optional(), fieldsV1: fieldSet.default({}) }),
  )
  .default([]);

/** An object with what its server notes about it. */
export interface Managed {
  metadata: { managedFields: z.infer<typeof managedFields> };
}

/** A field that somebody else set, or that is not as planned. */
export interface FieldFinding {
  /** `spec.template.spec.containers[main].image`. */
  path: string;
  /** What it is and what it should be, where that may be shown; undefined for a field that the plan does not have. */
  values?: { found: string; planned: string };
  /** Who set it; empty where gpubox did. */
  by: string[];
  /** The plan says nothing of it. */
  added: boolean;
}

/** One step of a path: a field, or an item of a list. */
type Step = { field: string } | { item: unknown; index: number };

/** What identifies an item of a list. */
const KEYS = ["name", "mountPath", "containerPort", "port", "key", "topologyKey", "type", "ip"];

/** What a server notes about an object, and what is no part of a plan. */
const NOTED = ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"];

/** Controllers of the cluster: what they set is their work. */
const CONTROLLERS =
  /^(kube-|kubelet|cloud-controller|keda|.*-(controller|controller-manager|operator|scheduler)$)/;

/** Texts of these fields are no secret and say what differs. */
const SHOWN = /\.(image|type|storageClassName|storage|imagePullPolicy)$/;

/**
 * What of an object differs from the plan.
 *
 * @param found the object as it is
 * @param planned the same as the server would make it of the plan
 * @param own the name by which gpubox sets fields
 */
export function fieldFindings(found: Managed, planned: Managed, own: string): FieldFinding[] {
  const managed = found.metadata.managedFields;
  const [is, shall] = [leaves(withoutNotes(found)), leaves(withoutNotes(planned))];
  const paths = [...new Set([...is.keys(), ...shall.keys()])];
  const changed = paths.flatMap((path): FieldFinding[] => {
    const [one, other] = [is.get(path), shall.get(path)];
    if (JSON.stringify(one?.value) === JSON.stringify(other?.value)) return [];
    const by = managed.filter(
      ({ manager, fieldsV1 }) => manager !== own && owns(fieldsV1, (one ?? other)!.steps),
    );
    return [
      {
        ...{ path, added: other === undefined, by: [...new Set(by.map(({ manager }) => manager))] },
        values: { found: shown(path, one?.value), planned: shown(path, other?.value) },
      },
    ];
  });
  // What the plan sets, whoever applied it.
  const ours = together(
    planned.metadata.managedFields.filter(({ manager }) => manager === own).map(({ fieldsV1 }) => fieldsV1),
  );
  const added = managed
    .filter(
      ({ manager, subresource }) => manager !== own && subresource !== "status" && !CONTROLLERS.test(manager),
    )
    .flatMap(({ manager, fieldsV1 }) =>
      ["f:spec", "f:data"].flatMap((part) =>
        beyond(fieldsV1[part] ?? {}, ours[part], part.slice(2)).map((path) => ({ path, manager })),
      ),
    )
    .filter(({ path }) => !changed.some((one) => one.path.startsWith(path)))
    .map(({ path, manager }): FieldFinding => ({ path, by: [manager], added: true }));
  return [...changed, ...eachOnce(added)];
}

function eachOnce(findings: FieldFinding[]): FieldFinding[] {
  const known = new Map<string, FieldFinding>();
  for (const one of findings) {
    const before = known.get(one.path);
    known.set(one.path, before ? { ...before, by: [...before.by, ...one.by] } : one);
  }
  return [...known.values()];
}

function withoutNotes(object: object): object {
  const { status: _, metadata = {}, ...rest } = object as { status?: unknown; metadata?: object };
  const { annotations, ...kept } = Object.fromEntries(
    Object.entries(metadata).filter(([name]) => !NOTED.includes(name)),
  );
  // Pulumi's provider notes there how it waits.
  const others = Object.entries(annotations ?? {}).filter(
    ([name]) => !name.startsWith("pulumi.com/") && !name.startsWith("deployment.kubernetes.io/"),
  );
  return { ...rest, metadata: { ...kept, annotations: Object.fromEntries(others) } };
}

function leaves(
  value: unknown,
  steps: Step[] = [],
  path = "",
): Map<string, { steps: Step[]; value: unknown }> {
  if (value === null || typeof value !== "object") return new Map([[path, { steps, value }]]);
  const inner = Array.isArray(value)
    ? value.map((item, index): [Step, string, unknown] => [
        { item, index },
        `${path}[${keyOf(item) ?? index}]`,
        item,
      ])
    : Object.entries(value).map(([field, one]): [Step, string, unknown] => [
        { field },
        path === "" ? field : `${path}.${field}`,
        one,
      ]);
  return new Map(inner.flatMap(([step, at, one]) => [...leaves(one, [...steps, step], at)]));
}

function keyOf(item: unknown): string | undefined {
  if (item === null || typeof item !== "object") return undefined;
  const key = KEYS.find((name) => name in item);
  return key === undefined ? undefined : String((item as Record<string, unknown>)[key]);
}

/** Whether a set has the field that steps lead to. One that has all of a list or a map has each part of it. */
function owns(set: FieldSet, steps: Step[]): boolean {
  const [step, ...rest] = steps;
  if (step === undefined) return true;
  if (Object.keys(set).length === 0) return true;
  const inner =
    "field" in step
      ? set[`f:${step.field}`]
      : Object.entries(set).find(([key]) => isItem(key, step.item))?.[1];
  return inner !== undefined && owns(inner, rest);
}

function isItem(key: string, item: unknown): boolean {
  if (key.startsWith("v:")) return key.slice(2) === JSON.stringify(item);
  if (!key.startsWith("k:") || item === null || typeof item !== "object") return false;
  const wanted = z.record(z.string(), z.unknown()).parse(JSON.parse(key.slice(2)));
  return Object.entries(wanted).every(([name, value]) => (item as Record<string, unknown>)[name] === value);
}

/** Paths that a set has and another one has not, no deeper than where they part. */
function beyond(set: FieldSet, other: FieldSet | undefined, path: string): string[] {
  // The other set has all of it as one.
  if (other && Object.keys(other).length === 0) return [];
  return Object.entries(set).flatMap(([key, inner]) => {
    if (key === ".") return [];
    const at = `${path}${written(key)}`;
    const same = other?.[key];
    return same === undefined ? [at] : beyond(inner, same, at);
  });
}

function written(key: string): string {
  if (key.startsWith("f:")) return `.${key.slice(2)}`;
  const value: unknown = JSON.parse(key.slice(2));
  return `[${keyOf(value) ?? String(value)}]`;
}

function together(sets: FieldSet[]): FieldSet {
  const all: FieldSet = {};
  for (const set of sets)
    for (const [key, inner] of Object.entries(set))
      all[key] = all[key] === undefined ? inner : together([all[key], inner]);
  return all;
}

/** Numbers and words of the plan's own, and never a text that somebody wrote. */
function shown(path: string, value: unknown): string {
  if (value === undefined) return "nothing";
  return typeof value === "number" || typeof value === "boolean" || SHOWN.test(path)
    ? String(value)
    : "another text";
}
