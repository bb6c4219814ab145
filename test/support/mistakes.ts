import { ConfigError } from "../../configs/kit/problems";
import { parseStack } from "../../configs/parse";
import type { OwnFiles } from "../../configs/stack/ownFiles";
import { rawStack, testSecrets } from "./stacks";

/** `path: what fix` of every mistake in a stack config, sorted. */
export function mistakesOf(
  values: Record<string, unknown>,
  ownFiles: OwnFiles = {},
  secrets: Record<string, string> = {},
): string[] {
  try {
    parseStack({ ...rawStack(values, { ...testSecrets, ...secrets }), ownFiles });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((p) => `${p.path}: ${p.what} ${p.fix}`).sort();
  }
}
