import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectPaths } from "../project";

/**
 * Records that an `up` from this folder began. The program does this instead of a resource, so that plain `pulumi up`
 * does it too and the next one shows no difference.
 */
export function beginUp(projectDir: string, stack: string): void {
  const path = markOf(projectDir, stack);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, "");
}

/** Records that the `up` ended: what runs is what was recorded last. */
export function endUp(projectDir: string, stack: string): void {
  rmSync(markOf(projectDir, stack), { force: true });
}

/** When the unfinished `up` began; undefined when the last one finished. */
export function unfinishedUp(projectDir: string, stack: string): Date | undefined {
  const path = markOf(projectDir, stack);
  return existsSync(path) ? statSync(path).mtime : undefined;
}

/** A sentence for people about an unfinished `up`. */
export function unfinishedWords(begun: Date): string {
  return (
    `The \`up\` that began here at ${begun.toISOString()} did not finish: what runs may differ from what is recorded, and ` +
    "the next one may replace more than this preview shows."
  );
}

function markOf(projectDir: string, stack: string): string {
  return join(projectPaths(projectDir).root, `unfinished.${stack}`);
}
