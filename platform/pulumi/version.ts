import { existsSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { run } from "../process";
import { programOnPath } from "../programs";
import { projectPaths } from "../project";

const seen = z.object({ file: z.string(), bytes: z.number(), modified: z.number(), version: z.string() });

/**
 * Version of a Pulumi program, such as `3.259.0`; undefined where it does not run. Asking it takes 0.4 s of CPU, so the answer is kept
 * in `.gpubox/` for as long as the file is the same.
 *
 * @param program `pulumi`, which is looked for on PATH, or an absolute path
 */
export async function pulumiVersion(projectDir: string, program: string): Promise<string | undefined> {
  const path = program === "pulumi" ? programOnPath(program) : program;
  if (path === undefined || !existsSync(path)) return undefined;
  const file = realpathSync(path);
  const { size: bytes, mtimeMs: modified } = statSync(file);
  const known = lastSeen(projectDir);
  if (known?.file === file && known.bytes === bytes && known.modified === modified) return known.version;
  const { code, stdout } = await run(path, ["version"], { env: { PULUMI_SKIP_UPDATE_CHECK: "true" } });
  if (code !== 0) return undefined;
  const version = stdout.trim().replace(/^v/, "");
  const paths = projectPaths(projectDir);
  // A verb that only reads makes no folder.
  if (existsSync(paths.root))
    writeFileSync(paths.pulumiVersion, JSON.stringify({ file, bytes, modified, version }));
  return version;
}

function lastSeen(projectDir: string): z.infer<typeof seen> | undefined {
  try {
    return seen.parse(JSON.parse(readFileSync(projectPaths(projectDir).pulumiVersion, "utf8")));
  } catch {
    return undefined;
  }
}
