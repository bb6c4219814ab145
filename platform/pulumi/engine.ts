import { delimiter, dirname, join } from "node:path";
import { z } from "zod";
import { shellQuote } from "../../configs/kit/text";
import { colorsForTerminal, type RunOptions, type RunResult, run, UserError } from "../process";
import { ensurePassphrase, ensureProjectFolders, type Log, projectPaths } from "../project";
import { readYaml } from "../userFiles";
import { versionAtLeast } from "../versions";
import { installPulumi, type PulumiLock, type PulumiSources, readPulumiLock } from "./install";
import { pulumiVersion } from "./version";

/** Older engines lose state with --run-program (fixed in this version). */
export const minimumPulumi = "3.244.0";
/** The version to install when there is none. */
export const pinnedPulumi = readPulumiLock().version;

export interface PulumiEngine {
  /** `pulumi` if it is on PATH, otherwise its absolute path. */
  program: string;
  version: string;
  /** Every command runs in this folder, because a relative state folder is resolved against the working directory. */
  projectDir: string;
}

/** The engine on PATH if it is new enough, or the one in `.gpubox/pulumi`, or undefined. */
export async function findPulumi(projectDir: string): Promise<PulumiEngine | undefined> {
  for (const program of ["pulumi", join(projectPaths(projectDir).pulumi, "bin", "pulumi")]) {
    const version = await pulumiVersion(projectDir, program);
    if (version && versionAtLeast(version, minimumPulumi)) return { program, version, projectDir };
  }
  return undefined;
}

export interface EnsurePulumiOptions {
  projectDir: string;
  log: Log;
  /** What to install, and from where. Default: the version in pulumi.lock.json, from its publisher. */
  lock?: PulumiLock;
  sources?: PulumiSources;
}

/**
 * Finds an engine, or installs the pinned version into `.gpubox/pulumi` after checking its checksum. Never throws: when
 * no engine is available, `reason` is one sentence of why.
 */
export async function ensurePulumi(
  options: EnsurePulumiOptions,
): Promise<{ engine: PulumiEngine } | { engine: undefined; reason: string }> {
  const { projectDir, log, lock = readPulumiLock(), sources } = options;
  const found = await findPulumi(projectDir);
  if (found) return { engine: found };
  log(`  installing Pulumi ${lock.version} into .gpubox/pulumi …`);
  const reason = await installPulumi(projectPaths(projectDir).pulumi, lock, sources);
  const engine = reason === undefined ? await findPulumi(projectDir) : undefined;
  if (engine) return { engine };
  const why = reason ?? "the installed engine does not run here";
  return { engine: undefined, reason: `Pulumi ${lock.version} cannot be installed: ${why}.` };
}

/** True when the environment sets a passphrase. An empty one counts, as it does for Pulumi. */
function bringsPassphrase(): boolean {
  return (
    process.env.PULUMI_CONFIG_PASSPHRASE !== undefined ||
    process.env.PULUMI_CONFIG_PASSPHRASE_FILE !== undefined
  );
}

/**
 * Variables for the environment of every Pulumi command. Creates the passphrase file on first use, unless
 * `PULUMI_CONFIG_PASSPHRASE` or `PULUMI_CONFIG_PASSPHRASE_FILE` is set.
 */
export function pulumiEnv(engine: PulumiEngine): Record<string, string> {
  const env: Record<string, string> = {
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // Go's default collects so often that it takes a seventh of an `up`'s CPU. With 400 the engine and its providers hold 0.2 GiB
    // more while it runs.
    GOGC: process.env.GOGC ?? "400",
  };
  if (!bringsPassphrase()) env.PULUMI_CONFIG_PASSPHRASE_FILE = ensurePassphrase(engine.projectDir);
  // The engine looks for its language host on PATH, and the two are in the same folder.
  if (engine.program !== "pulumi")
    env.PATH = `${dirname(engine.program)}${delimiter}${process.env.PATH ?? ""}`;
  return env;
}

/** Lines of POSIX sh after which plain `pulumi preview` works in the project's folder. None when it works as it is. */
export function exportsFor(engine: PulumiEngine): string[] {
  const lines: string[] = [];
  if (engine.program !== "pulumi") lines.push(`export PATH=${shellQuote(dirname(engine.program))}:"$PATH"`);
  if (!bringsPassphrase())
    lines.push(
      `export PULUMI_CONFIG_PASSPHRASE_FILE=${shellQuote(projectPaths(engine.projectDir).passphrase)}`,
    );
  return lines;
}

/** Runs a Pulumi command in the project's folder without prompts. Never rejects; the caller checks `code`. */
export function pulumi(engine: PulumiEngine, args: string[], options: RunOptions = {}): Promise<RunResult> {
  // What Pulumi writes passes through this program, so it does not see the terminal itself.
  const color = options.inherit && colorsForTerminal() ? ["--color", "always"] : [];
  return run(engine.program, [...args, "--non-interactive", ...color], {
    ...options,
    cwd: engine.projectDir,
    env: { ...pulumiEnv(engine), ...options.env },
  });
}

/**
 * The output of a Pulumi command that has to succeed.
 *
 * @throws UserError with the engine's own error line; for a wrong passphrase it says where the right one belongs
 */
export async function pulumiOutput(
  engine: PulumiEngine,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await pulumi(engine, args, options);
  if (result.code === 0) return result.stdout.trim();
  if (/incorrect passphrase|passphrase must be set/.test(result.stderr))
    throw new UserError(
      "This stack's secrets were encrypted with another passphrase.",
      `Put the passphrase that the stack was made with into ${projectPaths(engine.projectDir).passphrase}, or export PULUMI_CONFIG_PASSPHRASE.`,
    );
  const words = result.stderr.trim().replace(/^error: /, "") || `exit code ${result.code}`;
  const command = `pulumi ${args.slice(0, 2).join(" ")}`;
  throw new UserError(
    `\`${command}\` failed: ${words}`,
    "Run it by hand in the project's folder to see more.",
  );
}

const stackFile = z.object({ secretsprovider: z.string().optional() }).nullable();

/**
 * Selects a stack and creates it in the state backend when it is new. From then on plain `pulumi` means this stack. An
 * existing `Pulumi.<stack>.yaml` keeps its text and gets an `encryptionsalt`. Does not check the passphrase: read the
 * secrets next, before anything that could fail halfway.
 */
export async function selectStack(engine: PulumiEngine, stack: string): Promise<void> {
  // Pulumi does not create the folder of its file backend.
  ensureProjectFolders(engine.projectDir);
  const file = stackFile.safeParse(readYaml(projectPaths(engine.projectDir).stackConfig(stack)));
  const provider = file.data?.secretsprovider ?? "passphrase";
  await pulumiOutput(engine, [
    "stack",
    "select",
    "--create",
    "--stack",
    stack,
    "--secrets-provider",
    provider,
  ]);
}
