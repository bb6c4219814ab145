import { randomBytes } from "node:crypto";
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { UserError } from "./process";
import { readYaml } from "./userFiles";

/** Prints one line for the person at the terminal. */
export type Log = (line: string) => void;

/** One line about one part of the machine. */
export function machineLine(name: string, found: string): string {
  return `  ${name.padEnd(10)} ${found}`;
}

/** The folder of this package: its assets, its image recipes and their lock. */
export const packageDir = above(__dirname, "package.json") ?? __dirname;

let chosen: string | undefined;

/**
 * Makes `dir` the project of every later {@link findProject}.
 *
 * @throws UserError when it has no Pulumi.yaml
 */
export function chooseProject(dir: string): void {
  const path = resolve(dir);
  if (!existsSync(join(path, PROJECT_FILE)))
    throw new UserError(
      `${path} holds no ${PROJECT_FILE}.`,
      "Name the folder of a gpubox project, or make one: `gpubox init DIR`.",
    );
  chosen = path;
}

/**
 * The project of the working directory: the nearest folder above it with a Pulumi.yaml, unless {@link chooseProject}
 * chose another.
 *
 * @throws UserError outside any project
 */
export function findProject(): string {
  const found = chosen ?? above(process.cwd(), PROJECT_FILE);
  if (found) return found;
  throw new UserError(
    `${process.cwd()} is not in a gpubox project: no folder above it has a ${PROJECT_FILE}.`,
    "Go to your project's folder, or make one: `gpubox init DIR`.",
  );
}

const PROJECT_FILE = "Pulumi.yaml";

/** The folder with the image recipes: a checkout of gpubox has its own, every other project uses the package's. */
export function imagesDir(projectDir: string): string {
  const own = join(projectDir, "images");
  return existsSync(own) ? own : join(packageDir, "images");
}

/** The nearest folder, from `dir` upwards, that contains `file`. */
function above(dir: string, file: string): string | undefined {
  if (existsSync(join(dir, file))) return dir;
  const parent = dirname(dir);
  return parent === dir ? undefined : above(parent, file);
}

/** Paths of the files that `gpubox up` makes for itself. Git ignores all of them. */
export function projectPaths(projectDir: string) {
  const root = join(projectDir, ".gpubox");
  return {
    root,
    /** Pulumi's file backend. */
    state: join(root, "state"),
    /** Passphrase of the stacks' secrets, mode 0600. */
    passphrase: join(root, "passphrase"),
    /** Engine from the official installer, with its programs in `bin/`. */
    pulumi: join(root, "pulumi"),
    /** The version that the engine answered, and of which file. */
    pulumiVersion: join(root, "engine.json"),
    log: join(root, "log"),
    /** Secrets of a box that was converged without Pulumi, mode 0600. */
    secrets: (stack: string) => join(root, `secrets.${stack}.json`),
    /** The images and models that this machine resolved. */
    resolved: (stack: string) => join(root, `resolved.${stack}.json`),
    /** The stack's config, which users edit. */
    stackConfig: (stack: string) => join(projectDir, `Pulumi.${stack}.yaml`),
  };
}

/** Creates `.gpubox/` and its folders, readable by this user only. Safe to repeat. */
export function ensureProjectFolders(projectDir: string): void {
  const paths = projectPaths(projectDir);
  for (const folder of [paths.root, paths.state, paths.log])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/**
 * Path of the passphrase file. Creates a missing one: 32 random bytes in base64url, mode 0600. Keeps an existing one
 * and tightens its mode.
 */
export function ensurePassphrase(projectDir: string): string {
  ensureProjectFolders(projectDir);
  const { passphrase } = projectPaths(projectDir);
  if (existsSync(passphrase)) {
    chmodSync(passphrase, 0o600);
    return passphrase;
  }
  const fresh = `${passphrase}.${process.pid}`;
  writeFileSync(fresh, randomBytes(32).toString("base64url"), { mode: 0o600, flag: "wx" });
  try {
    // A link fails where a rename would overwrite: of two simultaneous first runs, both use the same passphrase.
    linkSync(fresh, passphrase);
  } catch (error) {
    if (!existsSync(passphrase)) throw error;
  } finally {
    rmSync(fresh);
  }
  return passphrase;
}

/** Writes a file that only this user can read, mode 0600. Readers see the old text or the new one, never a part. */
export function writePrivateFile(path: string, text: string): void {
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
  renameSync(fresh, path);
}

/**
 * Path of `Pulumi.<stack>.yaml`. Creates a missing one from the tracked `Pulumi.<stack>.example.yaml`.
 *
 * @throws UserError for an impossible stack name, and when neither file exists; it lists the existing stacks
 */
export function ensureStackConfig(projectDir: string, stack: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(stack))
    throw new UserError(
      `"${stack}" cannot be a stack's name.`,
      "Use lower-case letters, digits and dashes, for example `--stack dev`.",
    );
  const path = projectPaths(projectDir).stackConfig(stack);
  if (existsSync(path)) return path;
  const example = join(projectDir, `Pulumi.${stack}.example.yaml`);
  if (!existsSync(example)) {
    const known = stackNames(projectDir);
    throw new UserError(
      `There is no stack "${stack}": Pulumi.${stack}.yaml does not exist.`,
      `${known.length ? `Name one of ${known.join(", ")}, or copy one's file` : "Write its config"} to Pulumi.${stack}.yaml.`,
    );
  }
  copyFileSync(example, path, constants.COPYFILE_EXCL);
  return path;
}

/** Names of the stacks that have a config or an example of one, sorted. */
export function stackNames(projectDir: string): string[] {
  const names = readdirSync(projectDir).map(
    (file) => /^Pulumi\.([a-z0-9-]+)(\.example)?\.yaml$/.exec(file)?.[1],
  );
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

const projectFile = z.object({ name: z.string(), backend: z.object({ url: z.string() }).optional() });

/**
 * The Pulumi project's name, and the folder of its state if it is a folder: from `PULUMI_BACKEND_URL`, or from
 * Pulumi.yaml. Pulumi resolves a relative `file://` against its working directory, which for us is always the project.
 */
export function pulumiProject(projectDir: string): { name: string; stateDir: string | undefined } {
  const project = projectFile.safeParse(readYaml(join(projectDir, "Pulumi.yaml")));
  if (!project.success)
    throw new UserError("Pulumi.yaml is not a project file: it has no `name`.", "Restore it from git.");
  const { name, backend } = project.data;
  const url = process.env.PULUMI_BACKEND_URL || backend?.url;
  if (!url?.startsWith("file://")) return { name, stateDir: undefined };
  const path = url
    .slice("file://".length)
    .replace(/\?.*$/, "")
    .replace(/^~(?=\/|$)/, homedir());
  return { name, stateDir: resolve(projectDir, path) };
}
