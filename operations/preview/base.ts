import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { MODEL_LOCK_FILE } from "../../configs/models/lock";
import { output, run, UserError } from "../../platform/process";
import { splitConfig, stackFilesIn } from "../../platform/stack/boxFiles";
import { ownPaths } from "../../platform/stack/ownFiles";
import { readYaml } from "../../platform/userFiles";

/** The files that a plan is made from. */
const INPUTS = [MODEL_LOCK_FILE, "images", "assets"];

/** Files of a commit in a folder of their own. */
export interface BaseFolder {
  folder: string;
  commit: string;
  remove: () => void;
}

/**
 * Extracts a plan's inputs as they were when HEAD branched off `ref`, without touching the working tree or the index.
 *
 * @throws UserError outside a git repository, and for an unknown ref
 */
export async function checkoutBase(projectDir: string, ref: string): Promise<BaseFolder> {
  const commit = await mergeBase(projectDir, ref);
  const git = (...args: string[]) => output("git", args, { cwd: projectDir });
  // Other stacks too, because a box may serve their models.
  const wanted = (name: string) => INPUTS.includes(name) || /^Pulumi\..+\.yaml$/.test(name);
  const there = (await git("ls-tree", "--name-only", commit)).split("\n").filter(wanted);
  const folder = mkdtempSync(join(tmpdir(), "gpubox-base-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const extract = async (paths: string[]) => {
    const archive = join(folder, "base.tar");
    await git("archive", "--format=tar", "-o", archive, commit, "--", ...paths);
    await output("tar", ["-xf", archive, "-C", folder]);
  };
  try {
    if (there.length > 0) {
      await extract(there);
      const files = ownPathsIn(folder);
      const known = files.length > 0 ? await git("ls-tree", "--name-only", commit, "--", ...files) : "";
      if (known) await extract(known.split("\n"));
      for (const name of ["official.json", "lock.json"])
        fitRoles(join(folder, "images", name), join(projectDir, "images", name));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { folder, commit, remove };
}

/** Paths of the files that the stack files of a folder name beside them. */
function ownPathsIn(folder: string): string[] {
  return stackFilesIn(folder).flatMap((name) => {
    try {
      return ownPaths(splitConfig(readYaml(join(folder, name)) ?? {}).values);
    } catch {
      // What is wrong with it is told where it is planned.
      return [];
    }
  });
}

const roles = z.record(z.string(), z.unknown());

/**
 * Makes a base's file of images name exactly the roles that this gpubox knows, so that an added engine's image does not
 * prevent planning the base.
 */
function fitRoles(base: string, head: string): void {
  if (!existsSync(base) || !existsSync(head)) return;
  const [old, now] = [base, head].map((path) => roles.parse(JSON.parse(readFileSync(path, "utf8"))));
  const fitted = Object.entries(now!).map(([role, entry]) => [role, old![role] ?? entry]);
  const own = Object.entries(old!).filter(([name]) => name.includes(":"));
  writeFileSync(base, JSON.stringify(Object.fromEntries([...fitted, ...own])));
}

/** True when the stack had a file at the base. */
export function hadStack(folder: string, stack: string): boolean {
  return existsSync(join(folder, `Pulumi.${stack}.yaml`));
}

/** True when the stack had a file at the base and has none now. */
export async function isRemoved(projectDir: string, stack: string, ref: string): Promise<boolean> {
  if (hadStack(projectDir, stack)) return false;
  const object = `${await mergeBase(projectDir, ref)}:./Pulumi.${stack}.yaml`;
  return (await run("git", ["cat-file", "-e", object], { cwd: projectDir })).code === 0;
}

async function mergeBase(projectDir: string, ref: string): Promise<string> {
  const known = await run("git", ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`], {
    cwd: projectDir,
  });
  if (known.code === 127) throw new UserError("--base needs git, which is not installed.", "Install git.");
  if (known.code !== 0)
    throw new UserError(
      `git does not know "${ref}" here.`,
      "Name a branch, a tag or a commit; in CI, fetch it first (fetch-depth: 0).",
    );
  const base = await run("git", ["merge-base", known.stdout.trim(), "HEAD"], { cwd: projectDir });
  if (base.code === 0) return base.stdout.trim();
  throw new UserError(
    `${ref} and HEAD have no commit in common here.`,
    "Fetch more of the history (fetch-depth: 0), or name another base.",
  );
}
