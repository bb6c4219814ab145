import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { suggestion } from "../../configs/kit/problems";
import { type BoxFile, type BoxFiles, stacksNamed } from "../../configs/remotes/files";
import { UserError } from "../process";
import { readYaml } from "../userFiles";

/** Prefix of gpubox's keys in a stack file. */
export const NAMESPACE = "gpubox:";

const stackFile = z.object({ config: z.record(z.string(), z.unknown()).nullish() });
const encrypted = z.object({ secure: z.string() });

/**
 * The files of the stacks in a config's `boxes`, and of those that they name in turn. Decrypts nothing: only the names
 * of secrets are read. A file that cannot be read is marked, so that its box's entry reports it once.
 *
 * @param values of the config, keys without prefix
 */
export function readBoxFiles(projectDir: string, values: Record<string, unknown>): BoxFiles {
  const files: BoxFiles = {};
  const asked = stacksNamed(values);
  for (const stack of asked) {
    if (Object.hasOwn(files, stack)) continue;
    const file = readBoxFile(projectDir, stack);
    files[stack] = file;
    if ("values" in file) asked.push(...stacksNamed(file.values));
  }
  return files;
}

function readBoxFile(projectDir: string, stack: string): BoxFile {
  const name = `Pulumi.${stack}.yaml`;
  // Also prevents a name with slashes from leaving this folder.
  const there = stacksIn(projectDir);
  if (!there.includes(stack))
    return {
      unreadable: {
        what: `There is no ${name} next to this file.`,
        fix:
          there.length > 0
            ? suggestion(stack, there)
            : "Write it, or copy it from that box's project. Its secrets are not needed here.",
      },
    };
  try {
    return splitConfig(readYaml(join(projectDir, name)) ?? {});
  } catch (error) {
    if (!(error instanceof UserError || error instanceof z.ZodError)) throw error;
    return {
      unreadable: {
        what: `${name} is not a stack file: it cannot be read.`,
        fix: `\`gpubox preview --stack ${stack}\` says why.`,
      },
    };
  }
}

/**
 * The plain values in gpubox's namespace of a stack file, without prefix, and the names of the encrypted ones.
 *
 * @throws ZodError for anything but a stack file
 */
export function splitConfig(file: unknown): { values: Record<string, unknown>; secrets: string[] } {
  const { config } = stackFile.parse(file);
  const own = Object.entries(config ?? {})
    .filter(([key]) => key.startsWith(NAMESPACE))
    .map(([key, value]) => [key.slice(NAMESPACE.length), value] as const);
  const isEncrypted = (value: unknown) => encrypted.safeParse(value).success;
  return {
    values: Object.fromEntries(own.filter(([, value]) => !isEncrypted(value))),
    secrets: own.filter(([, value]) => isEncrypted(value)).map(([key]) => key),
  };
}

/** Names of the stack files in a folder. */
export function stackFilesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => /^Pulumi\..+\.yaml$/.test(name));
}

function stacksIn(projectDir: string): string[] {
  return stackFilesIn(projectDir)
    .map((name) => name.slice("Pulumi.".length, -".yaml".length))
    .filter((stack) => !stack.endsWith(".example"))
    .sort();
}
