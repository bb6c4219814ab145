import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { type RunResult, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { bundleIfStale } from "../../tools/bundle.cjs";
import { scratch } from "./allocate";
import { removeFolder, removeFromEngine } from "./leftovers";

/** A copy of this project as a fresh clone has it, with a stack of its own. */
export interface TestProject {
  dir: string;
  stack: string;
  /** Directory of the box's files on the host. */
  dataDir: string;
  endpoint: string;
  /** Environment of every command: no engine of the caller's shell leaks in. */
  env: Record<string, string | undefined>;
}

/** What a test's project is made of. */
export interface Parts {
  /**
   * `bundled`: the stack is an index.js that imports what the package brings. `sources`: it is the checkout's own index.ts, with
   * the sources that its bundle is made of. Default: `bundled`.
   */
  program?: "bundled" | "sources";
  /** `stub`: a stand-in that is ready at once, where LiteLLM is not the subject. Default: `litellm`. */
  gateway?: "litellm" | "stub";
}

/** The program, and what an index.ts and a harness import. */
const BUNDLES = ["dist/gpubox.cjs", "dist/index.cjs", "dist/jobs.cjs"];

/** Stacks of this test file so far: a second project of one is another checkout beside its box. */
const made = new Set<string>();

/** What the bundles are made of, and what no stack reads: a project with the bundled program does without. */
const ONLY_SOURCES = /^(cli|components|configs|docs|operations|platform|program|tools)\/|^test\/.*\.ts$/;

/** Copies this project's files, its bundles included, and lends the folder the packages. */
export function placeProject(dir: string, { program = "bundled", gateway = "litellm" }: Parts = {}): void {
  const files = spawnSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: packageDir });
  bundleIfStale();
  const needed = files.stdout
    .toString()
    .split("\n")
    .filter((file) => file && (program === "sources" || !ONLY_SOURCES.test(file)));
  for (const file of [...needed, ...BUNDLES]) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    // With its time, by which the program knows that its bundle is fresh.
    cpSync(join(packageDir, file), join(dir, file), { preserveTimestamps: true });
  }
  symlinkSync(join(packageDir, "node_modules"), join(dir, "node_modules"));
  if (gateway === "stub") {
    rmSync(join(dir, "images/gateway"), { recursive: true });
    cpSync(join(packageDir, "test/support/stubGateway"), join(dir, "images/gateway"), { recursive: true });
  }
  if (program === "bundled") useBundle(dir);
}

/** From here on the copy's stack is what the package brings. */
export function useBundle(dir: string): void {
  const project = parse(readFileSync(join(dir, "Pulumi.yaml"), "utf8"));
  const runtime = {
    name: "nodejs",
    options: { nodeargs: "--require ./bin/lazySdk.cjs", typescript: false },
  };
  writeFileSync(join(dir, "Pulumi.yaml"), stringify({ ...project, main: "index.js", runtime }));
  writeFileSync(
    join(dir, "index.js"),
    'Object.assign(exports, require("./dist/index.cjs").stackProgram(__dirname));\n',
  );
}

/**
 * Makes the copy and its stack config. `port` and the next one have to be free.
 *
 * @param place fills the folder in another way, and takes no `parts` then. Default: {@link placeProject}.
 */
export function makeProject(
  stack: string,
  port: number,
  config: Record<string, unknown> = {},
  parts: Parts = {},
  place: (dir: string, parts: Parts) => void = placeProject,
): TestProject {
  const dir = scratch(stack);
  place(dir, parts);
  const project = {
    dir,
    stack,
    dataDir: `/srv/gpubox-${stack}`,
    endpoint: `http://127.0.0.1:${port}`,
    env: {
      PULUMI_CONFIG_PASSPHRASE: undefined,
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
      PULUMI_BACKEND_URL: undefined,
    },
  };
  // A run that was killed leaves its box, and with it the word that the host is its own.
  if (!made.has(stack)) removeBox(project);
  made.add(stack);
  writeStack(project, {
    host: { dataDir: project.dataDir },
    gateway: { port, drainTimeout: 30 },
    models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 } },
    // Keys and spend are the subject of few tests; a migration and Postgres would slow all others down.
    database: { mode: "none" },
    ...config,
  });
  return project;
}

/** Writes the stack's config as a person would edit it: the secrets that Pulumi put there stay. */
export function writeStack({ dir, stack }: TestProject, sections: Record<string, unknown>, keep = ""): void {
  const config = Object.fromEntries(
    Object.entries(sections).map(([name, value]) => [`gpubox:${name}`, value]),
  );
  writeFileSync(join(dir, `Pulumi.${stack}.yaml`), keep + stringify({ config }));
}

/** The program in the project's folder, as a user types it; the stack's name is added. */
export function gpubox(project: TestProject, ...words: string[]): Promise<RunResult> {
  return run(process.execPath, programOf(project, [...words, "--stack", project.stack]), {
    cwd: project.dir,
    env: project.env,
    timeoutMs: 600_000,
  });
}

/** Arguments of node that start the project's own program. */
export function programOf({ dir }: Pick<TestProject, "dir">, words: string[]): string[] {
  return [join(dir, "bin/gpubox.cjs"), ...words];
}

/** Removes what a test left: containers, networks and volumes of the stack, files on the host, the copy. */
export function removeProject(project: TestProject): void {
  removeBox(project);
  rmSync(project.dir, { recursive: true, force: true });
}

/** The same without the copy. */
export function removeBox({ stack, dataDir }: Pick<TestProject, "stack" | "dataDir">): void {
  removeFromEngine(stack);
  removeFolder(dataDir);
}
