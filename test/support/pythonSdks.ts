import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { output } from "../../platform/process";

/** The official SDKs that the Python client of the tests imports. */
const PACKAGES = ["openai==3.54.0", "anthropic==2.12.0"];

export const hasPython = spawnSync("python3", ["-m", "venv", "--help"]).status === 0;

/**
 * Python with the SDKs, in a folder that outlives the test: `GPUBOX_SDK_CACHE`, by default below ~/.cache.
 *
 * @returns path of its interpreter
 */
export async function pythonWithSdks(): Promise<string> {
  const cache = process.env.GPUBOX_SDK_CACHE ?? join(homedir(), ".cache", "gpubox-sdks");
  const folder = join(cache, PACKAGES.join("+"));
  const python = join(folder, "bin", "python3");
  const complete = join(folder, "complete");
  if (existsSync(complete)) return python;
  mkdirSync(cache, { recursive: true });
  await output("python3", ["-m", "venv", "--clear", folder], { timeoutMs: 120_000 });
  await output(python, ["-m", "pip", "install", "--quiet", ...PACKAGES], { timeoutMs: 300_000 });
  await output("touch", [complete]);
  return python;
}
