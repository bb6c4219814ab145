import { z } from "zod";

/** A line of a container's log. */
export interface LogLine {
  /** When the engine received it: RFC 3339, UTC. */
  at: string;
  /** The container's name on the host. */
  container: string;
  /** Logical name: `edge`, `gateway`, `valve-tiny`. */
  role: string;
  /** `ERROR` and the like, where the program gives one. */
  level?: string;
  text: string;
}

/** A line of LiteLLM with `json_logs`. Only `--raw` shows its stack traces. */
const litellmLine = z.object({ message: z.string(), level: z.string().optional() });

/**
 * Parses a line of `docker logs --timestamps`. Undefined for an empty one.
 *
 * @param raw true keeps the program's text as it is
 */
export function parseLogLine(
  line: string,
  { container, role, raw = false }: { container: string; role: string; raw?: boolean },
): LogLine | undefined {
  const [, at, said = ""] = /^(\S+Z) (.*)$/.exec(line) ?? [];
  // LiteLLM draws its banner with block characters.
  if (!at || said.trim() === "" || (!raw && /[█╗╝]/.test(said))) return undefined;
  const structured = raw || !said.startsWith("{") ? undefined : litellmLine.safeParse(parsed(said)).data;
  const { message, level } = structured ?? { message: said };
  return { at, container, role, ...(level ? { level } : {}), text: message };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a text mentions a model by its whole name, so that `tiny` does not match `tiny-2`. */
export function mentions(text: string, names: string[]): boolean {
  return names.some((name) => {
    const quoted = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    return new RegExp(`(?<![A-Za-z0-9._:/@+-])${quoted}(?![A-Za-z0-9_:/@+[-]|\\.[A-Za-z0-9])`).test(text);
  });
}

/** Keys of LiteLLM and of most providers, from any sender. */
const KEY = /\bsk-[A-Za-z0-9_-]{6,}/g;

/** Makes a function that removes known secrets, and anything that looks like a key, from a text. */
export function redactor(secrets: string[]): (text: string) => string {
  // Longer secrets first, because one may be part of another. A very short one would also blot out ordinary words.
  const known = secrets.filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length);
  return (text) => {
    const open = known.reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
    return open.replace(KEY, "sk-[…]");
  };
}

/** A line for a terminal: time of day, role, level when it is worse than usual, and text without control characters. */
export function lineForPeople({ at, role, level, text }: LogLine, width: number): string {
  const time = at.slice(11, 23);
  const grave = level && level !== "INFO" && level !== "DEBUG" ? `${level} ` : "";
  return `${time}  ${role.padEnd(width)}  ${grave}${text.replace(/\p{Cc}+/gu, " ")}`;
}
