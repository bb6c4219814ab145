import { isLockable } from "../../configs/models/lock";
import { readStackFile } from "../stackConfig";

/**
 * Every source of a stack's models, in the order of the file: weights, projectors, draft models, whatever key names them.
 * Reads the file as it is, since a stack that is not locked yet cannot be parsed whole.
 */
export function sourcesOfStack(projectDir: string, stack: string): string[] {
  const { models } = readStackFile(projectDir, stack, {}).values;
  return [...new Set(texts(models).filter(isLockable))];
}

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(texts) : [];
}
