import { copyFileSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import { lockedSource } from "../../configs/models/lock";
import { type DeployedBox, deployedBoxSchema } from "../../configs/plan/changeNotices";
import { dockerAt } from "../docker/client";
import { UserError } from "../process";
import { projectPaths } from "../project";
import { readJsonFile } from "../userFiles";
import { readModelLock, writeModelLock } from "./modelLock";
import { sourcesOfStack } from "./modelSources";
import { copyRecordedFiles } from "./ownFiles";
import { resolvedPath } from "./resolved";

/** What the last `up` from this folder deployed; undefined when there was none. */
export function readDeployed(projectDir: string, stack: string): DeployedBox | undefined {
  const path = join(projectPaths(projectDir).root, `deployed.${stack}.json`);
  if (!existsSync(path)) return undefined;
  return deployedBoxSchema.safeParse(readJsonFile(path, z.unknown())).data;
}

const serving = z.object({ generation: z.string() });

/** Asks the edge which generation serves now. */
export async function servingGeneration(plan: BoxPlan): Promise<string> {
  const args = ["exec", `${plan.prefix}-edge`, "cat", "/var/lib/gpubox/serving.json"];
  return serving.parse(JSON.parse(await dockerAt(plan.docker).output(args))).generation;
}

/** Recorded generations of a stack, newest first. */
export function recordedGenerations(projectDir: string, stack: string): string[] {
  const folder = join(projectPaths(projectDir).root, "history", stack);
  if (!existsSync(folder)) return [];
  const age = (name: string) => statSync(join(folder, name)).mtimeMs;
  return readdirSync(folder).sort((a, b) => age(b) - age(a));
}

/** Folder with the files that a generation was made from. */
export function recordOf(projectDir: string, stack: string, generation: string): string {
  return join(projectPaths(projectDir).root, "history", stack, generation);
}

/**
 * The model lock of a recorded generation. A model that was not locked then has its present entry.
 *
 * @throws UserError when one of the locks is not valid
 */
export function recordedModelLock(projectDir: string, stack: string, generation: string): ModelLock {
  return { ...readModelLock(projectDir), ...readModelLock(recordOf(projectDir, stack, generation)) };
}

/**
 * Restores the config and the model lock of the generation before `now`. Returns that generation.
 *
 * @throws UserError when none is recorded
 */
export function restorePrevious(projectDir: string, stack: string, now: string): string {
  const previous = recordedGenerations(projectDir, stack).find((generation) => generation !== now);
  if (!previous)
    throw new UserError(
      `No generation before ${now} is recorded here.`,
      "Restore the stack config that you want and run `gpubox up`.",
    );
  const folder = recordOf(projectDir, stack, previous);
  copyFileSync(join(folder, "stack.yaml"), projectPaths(projectDir).stackConfig(stack));
  copyRecordedFiles(folder, projectDir);
  const resolved = join(folder, "resolved.json");
  if (existsSync(resolved)) copyFileSync(resolved, resolvedPath(projectDir, stack));
  restoreModelLock(projectDir, stack, previous);
  return previous;
}

/** Only the stack's own models, because other stacks of the project share the file. */
function restoreModelLock(projectDir: string, stack: string, generation: string): void {
  const now = readModelLock(projectDir);
  const then = recordedModelLock(projectDir, stack, generation);
  const own = sourcesOfStack(projectDir, stack).filter((source) => lockedSource(then, source));
  const back = own.filter((source) => JSON.stringify(now[source]) !== JSON.stringify(then[source]));
  if (back.length === 0) return;
  writeModelLock(projectDir, {
    ...now,
    ...Object.fromEntries(back.map((source) => [source, then[source]!])),
  });
}
