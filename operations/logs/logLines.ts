import { z } from "zod";

/** A line of a container's log. */
export interface LogLine {
  /** When the engine got it: RFC 3339, UTC. */
  at: string;
  /** Name of the container on the host. */
  container: string;
  /** Logical name: `edge`, `gateway`, `valve-tiny`. */
  role: string;
  /** `ERROR` and the like, where the program says so. */
  level?: string;
  text: string;
}

/** A line as LiteLLM writes it with `json_logs`; its stack traces are in `--raw` only. */
const litellmLine = z.object({ message: z.string(), level: z.string().optional() });

/**
 * A line of `docker logs --timestamps`. Undefined for an empty one.
 *
 * @param raw true: the text as the program wrote it
 */
export function parseLogLine(
  line: string,
  { container, role, raw = false }: { container: string; role: string; raw?: boolean },
): LogLine | undefined {
  const [, at, said = ""] = /^(\S+Z) (.*)$/.exec(line) ?? [];
  // LiteLLM's banner is drawn with blocks.
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

/** Whether a text speaks of a model: its name as a whole word, so that `tiny` is not found in `tiny-2`. */
export function mentions(text: string, names: string[]): boolean {
  return names.some((name) => {
    const quoted = name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    return new RegExp(`(?<![A-Za-z0-9._:/-])${quoted}(?![A-Za-z0-9_:/-]|\\.[A-Za-z0-9])`).test(text);
  });
}

/** Keys of LiteLLM and of most providers, whoever sent them. */
const KEY = /\bsk-[A-Za-z0-9_-]{6,}/g;

/** A function that takes every known secret out of a text, and what looks like a key. */
export function redactor(secrets: string[]): (text: string) => string {
  // Longer ones first: one may be a part of another. A very short one would blot out words that only look like it.
  const known = secrets.filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length);
  return (text) => {
    const open = known.reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
    return open.replace(KEY, "sk-[…]");
  };
}

/** A line for a terminal: time of day, role, level where it is worse than usual, text without control characters. */
export function lineForPeople({ at, role, level, text }: LogLine, width: number): string {
  const time = at.slice(11, 23);
  const grave = level && level !== "INFO" && level !== "DEBUG" ? `${level} ` : "";
  return `${time}  ${role.padEnd(width)}  ${grave}${text.replace(/\p{Cc}+/gu, " ")}`;
}
