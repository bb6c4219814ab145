import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { packageVersion } from "../../platform/versions";
import { inTheWay, manifestOf, TEMPLATE } from "./template";

const manifest = z.looseObject({ dependencies: z.record(z.string(), z.string()).optional() });
const ownManifest = z.object({ devDependencies: z.record(z.string(), z.string()) });

export interface NewProject {
  dir: string;
  /** Names of the files that were written. */
  files: string[];
}

/**
 * Writes a project of the user's own: Pulumi.yaml, a program of three lines, the stack `dev`, and the workflow that previews
 * pull requests.
 *
 * @param dir made where it is missing; it may hold what npm and git put there, and nothing else
 * @throws UserError for a folder that holds something else; nothing is written then
 */
export function initProject(dir: string): NewProject {
  const root = resolve(dir);
  const there = existsSync(root) ? entriesOf(root) : [];
  const packed = (name: string) => name.endsWith(".tgz");
  const others = inTheWay(there, packed);
  if (others.length > 0)
    throw new UserError(
      `${root} is not empty: it holds ${others.slice(0, 3).join(", ")}${others.length > 3 ? " and more" : ""}.`,
      "Name an empty folder, or one that does not exist yet.",
    );
  const templates = join(packageDir, "templates/project");
  const files = Object.fromEntries(
    Object.entries(TEMPLATE).map(([name, from]) => [name, readFileSync(join(templates, from), "utf8")]),
  );
  files["package.json"] = `${JSON.stringify(newManifest(root), null, 2)}\n`;
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
    throw new UserError(`${root} is no folder that you can read.`, "Name an empty folder, or a new one.");
  }
}

function newManifest(root: string) {
  const path = join(root, "package.json");
  const present = existsSync(path) ? manifest.parse(JSON.parse(readFileSync(path, "utf8"))) : {};
  const named = existsSync(path)
    ? {}
    : {
        name: basename(root)
          .toLowerCase()
          .replace(/[^a-z0-9-]+/g, "-"),
      };
  return manifestOf({ ...named, ...present }, { ...pulumiPackages(), gpubox: installedAs(root) });
}

/** Pulumi's packages at the versions that this one was tested with: newer ones may want a newer Node. */
function pulumiPackages(): Record<string, string> {
  const { devDependencies } = ownManifest.parse(
    JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")),
  );
  return Object.fromEntries(Object.entries(devDependencies).filter(([name]) => name.startsWith("@pulumi/")));
}

/** How the project gets gpubox: as the folder has it that this program was installed in, else by its version. */
function installedAs(root: string): string {
  const host = dirname(dirname(packageDir));
  const version = `^${packageVersion()}`;
  const path = join(host, "package.json");
  if (basename(dirname(packageDir)) !== "node_modules" || !existsSync(path)) return version;
  const spec = manifest.parse(JSON.parse(readFileSync(path, "utf8"))).dependencies?.gpubox ?? version;
  const file = /^file:(.+)$/.exec(spec)?.[1];
  if (file === undefined || isAbsolute(file)) return spec;
  return `file:${relative(root, join(host, file))}`;
}
