import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type JestReport, jestReport } from "./report";
import type { Stage } from "./tiers";

/**
 * Runs one stage. Jest's report goes to a file; what people read goes to standard error.
 * @param folder for that file
 * @param wanted only test files whose path matches one of them
 */
export async function jest(
  { projects, lanes }: Stage,
  folder: string,
  wanted: string[],
  env: Record<string, string>,
): Promise<JestReport> {
  const file = join(folder, `${projects[0]}.json`);
  const args = ["--selectProjects", ...projects, "--json", `--outputFile=${file}`, `--maxWorkers=${lanes}`];
  const patterns = wanted.flatMap((pattern) => ["--testPathPatterns", pattern]);
  await run("npx", ["--no-install", "jest", ...args, "--passWithNoTests", ...patterns], {
    cwd: packageDir,
    env: { ...env, FORCE_COLOR: process.stdout.isTTY ? "1" : undefined },
    inherit: true,
  });
  if (!existsSync(file)) throw new Error(`Jest ended without a report of ${projects.join(", ")}`);
  return jestReport.parse(JSON.parse(readFileSync(file, "utf8")));
}
