import { z } from "zod";

/** What /etc/docker/daemon.json becomes. */
export type DaemonJson =
  | { text: string; added: string[]; kept: string[] }
  /** It cannot be read as a JSON object; Docker does not start with it either. */
  | "broken";

const object = z.record(z.string(), z.unknown());

/**
 * Adds to a daemon.json what is not said there. What a person wrote stays, also where it differs; `kept` names it.
 *
 * @param text the file, or undefined where there is none
 * @param wanted keys, one level of objects deep
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
