import { existsSync } from "node:fs";
import { z } from "zod";
import { isLockable } from "../../configs/models/lock";
import { projectPaths } from "../project";
import { readStackFile } from "./stackConfig";

/**
 * Every source of a stack's models in file order: weights, projectors, draft models, under any key. Reads the raw file,
 * because a stack that is not locked yet cannot be parsed completely.
 */
export function sourcesOfStack(projectDir: string, stack: string): string[] {
  return sourcesIn(readStackFile(projectDir, stack, {}).values.models);
}

/** Every source in a part of a config, under any key. */
export function sourcesIn(value: unknown): string[] {
  return [...new Set(texts(value).filter(isLockable))];
}

const withHub = z.object({ host: z.object({ modelHub: z.string() }) });

/** Base URL of the stack's hub; undefined when it names none. */
export function hubOfStack(projectDir: string, stack: string): string | undefined {
  if (!existsSync(projectPaths(projectDir).stackConfig(stack))) return undefined;
  return withHub.safeParse(readStackFile(projectDir, stack, {}).values).data?.host.modelHub;
}

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(texts) : [];
}
