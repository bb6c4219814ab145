import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import type { Kind } from "../../operations/import/collect";
import { type Imported, importStack } from "../../operations/import/importStack";
import { scratch } from "./allocate";

export interface ImportedStack extends Imported {
  /** The written file's config, without the prefix of its keys. */
  values: Record<string, Record<string, unknown>>;
}

/** Imports files of these texts from a folder of their own. `source`: which of them, default the first. */
export async function imported(
  files: Record<string, string>,
  { source = Object.keys(files)[0]!, from }: { source?: string; from?: Kind } = {},
): Promise<ImportedStack> {
  const folder = scratch("import");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return withValues(await importStack([join(folder, source)], { stack: "test", from }));
}

function withValues(made: Imported): ImportedStack {
  const { config } = parse(made.text) as { config: Record<string, Record<string, unknown>> };
  const values = Object.entries(config).map(([key, value]) => [key.replace(/^gpubox:/, ""), value]);
  return { ...made, values: Object.fromEntries(values) };
}

/** Each thing that did not come over: its path, and the reason. */
export function lost({ untold }: Imported): Record<string, string> {
  return Object.fromEntries(untold.map(({ what, why }) => [what.replace(/^\S+ /, ""), why]));
}
