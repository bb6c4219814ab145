import type { Problem } from "../kit/problems";

/**
 * Texts that LiteLLM replaces with a value from elsewhere: an environment variable (which may hold any key of the box) or a
 * token of the machine. It looks for variables at the start of most values, and inside some.
 */
const POINTER = /os\.environ\/|^\s*oidc\//i;

/** Every text at or below `value`, key names included, that LiteLLM would replace with another value. */
export function pointers(value: unknown, path: string): Problem[] {
  if (typeof value === "string") return POINTER.test(value) ? [pointer(path)] : [];
  if (Array.isArray(value)) return value.flatMap((inner, index) => pointers(inner, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(POINTER.test(key) ? [pointer(path)] : []),
    ...pointers(inner, path.endsWith(":") ? `${path}${key}` : `${path}.${key}`),
  ]);
}

function pointer(path: string): Problem {
  return {
    path,
    what: "LiteLLM would put a variable of the gateway, or a token of its machine, in place of this text.",
    fix: "Write the value itself; a key goes where { secret: <its name> } is taken, as in gpubox:gateway.env.",
  };
}
