import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectPaths } from "../project";

/**
 * Remembers that an `up` from this folder has begun. It is the program that does so and no resource, so that plain `pulumi up`
 * has it too and the next one shows no difference.
 */
export function beginUp(projectDir: string, stack: string): void {
  const path = markOf(projectDir, stack);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, "");
}

/** That `up` has come to its end: what runs is what was recorded last. */
export function endUp(projectDir: string, stack: string): void {
  rmSync(markOf(projectDir, stack), { force: true });
}

/** When the `up` began that did not come to its end; undefined where the last one did. */
export function unfinishedUp(projectDir: string, stack: string): Date | undefined {
  const path = markOf(projectDir, stack);
  return existsSync(path) ? statSync(path).mtime : undefined;
}

/** What a person has to know of it. */
export function unfinishedWords(begun: Date): string {
  return (
    `The \`up\` that began here at ${begun.toISOString()} did not finish: what runs may differ from what is recorded, and ` +
    "the next one may replace more than is said here."
  );
}

function markOf(projectDir: string, stack: string): string {
  return join(projectPaths(projectDir).root, `unfinished.${stack}`);
}
