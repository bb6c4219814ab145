import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Repository } from "../../tools/cannedSafetensors";

/** Writes a repository where any user of a container may read it. Returns its source for a stack's config. */
export function writeRepository(path: string, repository: Repository): string {
  mkdirSync(path, { recursive: true });
  for (const [file, content] of Object.entries(repository))
    writeFileSync(join(path, file), content, { mode: 0o644 });
  return `file://${path}`;
}
