import type { z } from "zod";

/** Valid keys of the object at `path` inside a schema, for the nearest-name hint. */
export function keysOf(schema: z.ZodType, path: PropertyKey[]): string[] {
  let inner = unwrap(schema);
  for (const key of path) {
    const shape = "shape" in inner ? (inner.shape as Record<PropertyKey, z.ZodType>) : undefined;
    const element = "element" in inner ? (inner.element as z.ZodType) : undefined;
    const value = "valueType" in inner ? (inner.valueType as z.ZodType) : undefined;
    const next = shape?.[key] ?? element ?? value;
    if (!next) return [];
    inner = unwrap(next);
  }
  return "shape" in inner ? Object.keys(inner.shape as object) : [];
}

/** The schema inside defaults, optionals and their like. */
export function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while ("innerType" in inner.def) inner = inner.def.innerType as z.ZodType;
  return inner;
}
