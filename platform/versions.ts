import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "./process";
import { packageDir } from "./project";

const manifest = z.object({ version: z.string() });

/** Version of this package, for example `0.2.0`. */
export function packageVersion(): string {
  return manifest.parse(JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8"))).version;
}

/**
 * Refuses a stack that a newer package brought up: this one may not understand its file.
 *
 * @param written `gpubox:version` of the stack's file, which `up` writes; anything but a text counts as none
 * @throws UserError that names both versions and the command which updates the package
 */
export function refuseNewerStack(stack: string, written: unknown): void {
  const own = packageVersion();
  if (typeof written !== "string" || versionAtLeast(own, written)) return;
  if (!/^v?\d+\.\d+\.\d+/.test(written))
    throw new UserError(
      `gpubox:version of Pulumi.${stack}.yaml is "${written}", which is not a version.`,
      "Remove that line; `gpubox up` writes it again.",
    );
  throw new UserError(
    `Pulumi.${stack}.yaml was brought up by gpubox ${written}, and this is gpubox ${own}.`,
    `Update the package: \`npm install gpubox@${written}\`.`,
  );
}

/** True when `version` (`3.259.0`, `v3.259.0-alpha.1`) is `minimum` or newer; a pre-release counts as its release. */
export function versionAtLeast(version: string, minimum: string): boolean {
  const numbers = (text: string) => /^v?(\d+)\.(\d+)\.(\d+)/.exec(text.trim())?.slice(1).map(Number);
  const have = numbers(version);
  const want = numbers(minimum);
  if (!have || !want) return false;
  const differing = have.findIndex((part, index) => part !== want[index]);
  return differing === -1 || have[differing]! > want[differing]!;
}
