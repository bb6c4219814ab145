import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { packageDir } from "../../platform/project";

/** Folder of the tests of what runs in Python on the host. */
export const pythonTests = join(packageDir, "test", "python");

const started = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" });

/** The program behind `python3`: where a version manager's wrapper stands before it, that takes twice as long as Python's start. */
export const python3 = started.stdout?.trim() || "python3";

/** A Python with what those tests need, made once for all runs; undefined with the reason where it cannot be had. */
export function testPython(): { python: string } | { missing: string } {
  const requirements = readFileSync(join(pythonTests, "requirements.txt"));
  const version = spawnSync("python3", ["--version"], { encoding: "utf8" });
  if (version.status !== 0) return { missing: "there is no python3" };
  const key = createHash("sha256").update(requirements).update(version.stdout).digest("hex").slice(0, 12);
  const cache = process.env.GPUBOX_CONTRACT_CACHE ?? join(homedir(), ".cache", "gpubox-contract");
  const folder = join(cache, `python-${key}`);
  const python = join(folder, "bin", "python3");
  if (existsSync(python)) return { python };
  // Under another name until it is whole. Its scripts do not outlive the renaming, its python does.
  const packages = join(cache, `.python-${key}-${process.pid}`);
  mkdirSync(cache, { recursive: true });
  const made = spawnSync("python3", ["-m", "venv", packages], { encoding: "utf8" });
  if (made.status !== 0) return { missing: `python3 -m venv: ${made.stdout.trim()}` };
  const pip = ["-m", "pip", "install", "--quiet", "-r", join(pythonTests, "requirements.txt")];
  const installed = spawnSync(join(packages, "bin", "python3"), pip, { encoding: "utf8" });
  if (installed.status !== 0) {
    rmSync(packages, { recursive: true });
    return { missing: `pip: ${installed.stderr.trim().split("\n").at(-1)}` };
  }
  try {
    renameSync(packages, folder);
  } catch {
    rmSync(packages, { recursive: true });
  }
  return { python };
}
