/** True for a map of YAML or JSON, and for nothing else that JavaScript calls an object. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
