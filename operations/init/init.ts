import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { packageVersion } from "../../platform/versions";
import { inTheWay, manifestOf, TEMPLATE } from "./template";

const manifest = z.looseObject({ dependencies: z.record(z.string(), z.string()).optional() });
const ownManifest = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

export interface NewProject {
  dir: string;
  /** Names of the written files. */
  files: string[];
}

/**
 * Writes a user's own project: Pulumi.yaml, a program of three lines, the stack `dev`, and the workflow that previews
 * pull requests.
 *
 * @param dir created if missing; it may contain only what npm and git put there
 * @param from folder of the package, whose templates are copied
 * @throws UserError for a folder with other files or an unreadable package.json, before anything is written
 */
export function initProject(dir: string, from = packageDir): NewProject {
  const root = resolve(dir);
  const there = existsSync(root) ? entriesOf(root) : [];
  const packed = (name: string) => name.endsWith(".tgz");
  const others = inTheWay(there, packed);
  if (others.length > 0)
    throw new UserError(
      `${root} is not empty: it holds ${others.slice(0, 3).join(", ")}${others.length > 3 ? " and more" : ""}.`,
      "Name an empty folder, or one that does not exist yet.",
    );
  const templates = join(from, "templates/project");
  const files = Object.fromEntries(
    Object.entries(TEMPLATE).map(([name, file]) => [name, readFileSync(join(templates, file), "utf8")]),
  );
  files["package.json"] = `${JSON.stringify(newManifest(root, from), null, 2)}\n`;
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return { dir: root, files: Object.keys(files).sort() };
}

function entriesOf(root: string): string[] {
  try {
    return readdirSync(root).sort();
  } catch {
    throw new UserError(`${root} is not a folder that you can read.`, "Name an empty folder, or a new one.");
  }
}

function newManifest(root: string, from: string) {
  const path = join(root, "package.json");
  const present = existsSync(path) ? readManifest(path) : { name: packageName(root) };
  return manifestOf(present, { ...runtimePackages(from), gpubox: installedAs(root, from) });
}

function readManifest(path: string) {
  try {
    return manifest.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new UserError(`${path} is not the JSON of a package.`, "Correct it, or remove it.");
  }
}

/** A folder's name in a form that npm accepts. */
function packageName(root: string): string {
  const name = basename(root)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name || "model-server";
}

/**
 * What the project's program needs besides gpubox, at the versions that gpubox was tested with: newer ones may need a
 * newer Node. Pulumi starts the program with `--import tsx`, which Node resolves from the project.
 */
function runtimePackages(from: string): Record<string, string> {
  const own = ownManifest.parse(JSON.parse(readFileSync(join(from, "package.json"), "utf8")));
  const all = Object.entries({ ...own.dependencies, ...own.devDependencies });
  return Object.fromEntries(all.filter(([name]) => name.startsWith("@pulumi/") || name === "tsx"));
}

/** How the project gets gpubox: as declared in the folder that `from` was installed in, or by its version. */
function installedAs(root: string, from: string): string {
  const host = dirname(dirname(from));
  const version = `^${packageVersion()}`;
  const path = join(host, "package.json");
  if (basename(dirname(from)) !== "node_modules" || !existsSync(path)) return version;
  const spec = readManifest(path).dependencies?.gpubox ?? version;
  const file = /^file:(.+)$/.exec(spec)?.[1];
  if (file === undefined || isAbsolute(file)) return spec;
  return `file:${relative(root, join(host, file))}`;
}
