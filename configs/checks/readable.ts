import type { z } from "zod";

/** What can be read of a section: without the keys that have issues, and without what holds them where that is not enough. */
export function readable<Schema extends z.ZodType>(
  schema: Schema,
  section: unknown,
  issues: z.core.$ZodIssue[],
): z.output<Schema> {
  const depth = Math.max(...issues.map(({ path }) => path.length));
  for (let up = 0; up <= depth; up++) {
    const rest = schema.safeParse(without(section, issues, up));
    if (rest.success) return rest.data;
  }
  return schema.parse({});
}

/** A copy of a section without the keys that have issues. `up`: how many levels above the key to cut. */
function without(section: unknown, issues: z.core.$ZodIssue[], up: number): unknown {
  const copy = structuredClone(section);
  for (const issue of issues) {
    const unknownKeys = issue.code === "unrecognized_keys";
    // A key that is not known can always be cut by itself.
    const cut = unknownKeys ? issue.path : issue.path.slice(0, Math.max(1, issue.path.length - up));
    const path = unknownKeys ? cut : cut.slice(0, -1);
    const keys = unknownKeys ? issue.keys : cut.slice(-1);
    const parent = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], copy);
    if (typeof parent !== "object" || parent === null) return {};
    for (const key of keys) delete (parent as Record<PropertyKey, unknown>)[key];
  }
  return copy;
}
