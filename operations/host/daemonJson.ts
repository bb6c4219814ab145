import { z } from "zod";

export type DaemonJson =
  | { text: string; added: string[]; kept: string[] }
  /** The file is not a JSON object. Docker does not start with it either. */
  | "broken";

const object = z.record(z.string(), z.unknown());

/**
 * Adds missing keys to a daemon.json. A person's own values stay even where they differ, and `kept` names those.
 *
 * @param text the file; undefined when there is none
 * @param wanted keys, at most one level of nested objects
 */
export function mergeDaemonJson(text: string | undefined, wanted: Record<string, unknown>): DaemonJson {
  const present = parse(text);
  if (!present) return "broken";
  const added: string[] = [];
  const kept: string[] = [];
  const merge = (into: Record<string, unknown>, from: Record<string, unknown>, path: string) => {
    for (const [key, value] of Object.entries(from)) {
      const inner = object.safeParse(into[key]);
      const wantedInner = object.safeParse(value);
      if (!(key in into)) {
        into[key] = value;
        added.push(`${path}${key}`);
      } else if (inner.success && wantedInner.success) {
        into[key] = inner.data;
        merge(inner.data, wantedInner.data, `${path}${key}.`);
      } else if (JSON.stringify(into[key]) !== JSON.stringify(value)) kept.push(`${path}${key}`);
    }
  };
  merge(present, wanted, "");
  return { text: `${JSON.stringify(present, null, 2)}\n`, added, kept };
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined || text.trim() === "") return {};
  try {
    return object.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
