import { existsSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { readYaml } from "../../platform/userFiles";
import type { Kept } from "./stackFile";

/** Where a stack file goes. */
export interface Target {
  projectDir: string;
  stack: string;
  path: string;
}

const STACK_FILE = /^Pulumi\.([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.yaml$/;

/**
 * @param find the project's folder, asked where `out` does not say it
 * @throws UserError where the two contradict each other
 */
export function targetOf(out: string | undefined, stack: string | undefined, find: () => string): Target {
  if (out === undefined) {
    const name = stack ?? "dev";
    const projectDir = find();
    return { projectDir, stack: name, path: join(projectDir, `Pulumi.${name}.yaml`) };
  }
  const path = resolve(out);
  const named = STACK_FILE.exec(basename(path))?.[1];
  if (named === undefined || (stack !== undefined && stack !== named))
    throw new UserError(
      `${basename(path)} is not the file of ${stack === undefined ? "a stack" : `the stack ${stack}`}.`,
      `Name it Pulumi.${stack ?? "box"}.yaml.`,
    );
  return { projectDir: dirname(path), stack: named, path };
}

const stackFile = z.looseObject({ config: z.record(z.string(), z.unknown()).nullish() }).nullable();
const secure = z.strictObject({ secure: z.string() });

/**
 * What of a stack file that is in the way has to stay: without it nobody could read the stack's secrets.
 *
 * @throws UserError for a file that is there, unless it may be replaced
 */
export function keptOf({ path, stack }: Target, force: boolean): Kept {
  if (!existsSync(path)) return { top: {}, config: {} };
  if (!force)
    throw new UserError(
      `Pulumi.${stack}.yaml is there already.`,
      "Name another stack, --stack NAME, or replace its sections and models with --force: its secrets stay.",
    );
  const { config, ...top } = stackFile.parse(readYaml(path) ?? {}) ?? {};
  const own = ["gpubox:saltFingerprint", "gpubox:hostId", "gpubox:version"];
  const kept = Object.entries(config ?? {}).filter(
    ([key, value]) => own.includes(key) || !key.startsWith("gpubox:") || secure.safeParse(value).success,
  );
  return { top, config: Object.fromEntries(kept) };
}

/** Writes a stack file. */
export function writeStackFile({ path }: Target, text: string): void {
  writeFileSync(path, text);
}
