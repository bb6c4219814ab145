import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import type { ImageRole } from "../../configs/kit/imageRoles";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { versionAtLeast } from "../../platform/versions";
import { llamaSwapProgram } from "./llamaSwap";

/** Names the file to which a run's suites write why they skip; {@link sayMissing}. */
export const SKIPS_FILE = "GPUBOX_TEST_SKIPS";

const runs = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const exists = (program: string) => spawnSync(program, ["--version"]).error === undefined;

/** A dockerd that no package has yet: who built one names the file. */
export const NEXT_DOCKERD = "a dockerd at GPUBOX_TEST_DOCKERD";

/** That the kernel hands programs of arm64 to qemu: Debian's qemu-user-static, where systemd or a person registers it. */
export const ARM64_PROGRAMS = "programs of arm64 by qemu";

/** What tests need beside Node: how to find out, asked once a file and only when a test asks. */
const WAYS: Record<string, () => boolean> = {
  docker: () => runs("docker", "version"),
  pulumi: () => {
    const found = spawnSync("pulumi", ["version"], { encoding: "utf8" });
    return found.status === 0 && versionAtLeast(found.stdout, "3.244.0");
  },
  openssl: () => runs("openssl", "version"),
  "python3 with venv": () => runs("python3", "-m", "venv", "--help"),
  pebble: () => exists("pebble"),
  restic: () => exists("restic"),
  haproxy: () => runs("haproxy", "-v"),
  root: () => process.getuid?.() === 0,
  "a loop device": () => runs("losetup", "--find"),
  "plugins of the container network": () => existsSync("/usr/lib/cni/ptp"),
  "llama-swap": () => llamaSwapProgram !== "",
  [ARM64_PROGRAMS]: () => existsSync("/proc/sys/fs/binfmt_misc/qemu-aarch64"),
  [NEXT_DOCKERD]: () => existsSync(process.env.GPUBOX_TEST_DOCKERD ?? ""),
  "an npm registry": () => runs("npm", "view", "npm", "version"),
};

const answers = new Map<string, boolean>();

/** True where a program, or the thing that is called so, is there. A name that has no way of its own is a program. */
export function has(name: string): boolean {
  const known = answers.get(name);
  if (known !== undefined) return known;
  const [, role] = name.match(/^the image gpubox\/([\w-]+)$/) ?? [];
  const image = () => runs("docker", "image", "inspect", recipeReference(packageDir, role as ImageRole));
  const answer = (role ? image : (WAYS[name] ?? (() => exists(name))))();
  answers.set(name, answer);
  return answer;
}

/** Those that are not there. */
export function missing(...names: string[]): string[] {
  return names.filter((name) => !has(name));
}

/** `describe` where everything is there; else one that skips and says for want of what. */
export function needs(...names: string[]): jest.Describe {
  return orSkip(describe, missing(...names).join(", "));
}

/** The same for one test. */
export function testNeeds(...names: string[]): jest.It {
  return orSkip(test, missing(...names).join(", "));
}

/**
 * `describe` or `test`, or its skipping form.
 * @param why what is missing, as a noun: `the image gpubox/llamacpp`; nothing where nothing is
 */
export function orSkip<Of extends jest.Describe | jest.It>(how: Of, why: string | undefined): Of {
  if (!why) return how;
  sayMissing(why);
  return how.skip as Of;
}

/** Tells the reader, and the runner if there is one, what is not there. */
export function sayMissing(why: string): void {
  console.warn(`SKIPPED for want of ${why}`);
  const file = process.env[SKIPS_FILE];
  if (file) appendFileSync(file, `${JSON.stringify({ file: expect.getState().testPath ?? "", why })}\n`);
}
