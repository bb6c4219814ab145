import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RunResult, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { allocate, scratch } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { removeBox, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("pkg");

const canned = { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 };

type Sections = Record<string, Record<string, unknown>>;

/** A harness's program and a user's own, as a strict compiler reads them. */
const USES = `import { ModelServer, stackProgram } from "gpubox";
import { type JobInput, startJob, stopJob } from "gpubox/jobs";

const job: JobInput = { upstream: { box: "tiny" }, port: 4101 };
export async function once(): Promise<string> {
  const { endpoint, job: name } = await startJob({ job });
  await stopJob(name);
  return endpoint;
}
export const { models } = stackProgram(__dirname);
export const endpoint = new ModelServer("box", { secrets: {}, gateway: { port: 4100 } }).endpoint;
`;

needs("docker", "pulumi")("the packed package in an empty folder", () => {
  let home: string;
  let project: TestProject;
  let exports: string[];
  let masterKey: string;

  const npm = (cwd: string, ...words: string[]) => run("npm", words, { cwd, timeoutMs: 10 * MINUTE });
  /** As a user types it; --no: what is not installed is not fetched either. */
  const gpubox = (...words: string[]): Promise<RunResult> =>
    run("npx", ["--no", "gpubox", ...words], {
      cwd: project.dir,
      env: project.env,
      timeoutMs: 10 * MINUTE,
    });
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));
  /** What it printed is shown where it failed. */
  const ok = ({ code, stdout, stderr }: RunResult): string => {
    expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
    return stdout;
  };

  beforeAll(async () => {
    home = scratch("package");
    project = {
      dir: join(home, "box"),
      stack: STACK,
      dataDir: `/srv/gpubox-${STACK}`,
      endpoint: `http://127.0.0.1:${PORT}`,
      env: {
        PULUMI_CONFIG_PASSPHRASE: undefined,
        PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
        PULUMI_BACKEND_URL: undefined,
      },
    };
    removeBox(project);
    // Bundles and types are made by `prepack`, as for a release.
    ok(await npm(packageDir, "pack", "--pack-destination", home));
  }, 5 * MINUTE);
  afterAll(() => {
    removeBox(project);
    rmSync(home, { recursive: true, force: true });
  });

  test(
    "is installed, and its program writes a project that installs it too",
    async () => {
      const [tarball] = readdirSync(home).filter((name) => name.endsWith(".tgz"));
      ok(await npm(home, "install", "--no-audit", "--no-fund", `./${tarball}`));
      ok(await run("npx", ["--no", "gpubox", "init", "box"], { cwd: home }));
      const { dependencies } = JSON.parse(readFileSync(join(project.dir, "package.json"), "utf8"));
      expect(dependencies.gpubox).toBe(`file:../${tarball}`);
      ok(await npm(project.dir, "install", "--no-audit", "--no-fund"));
      expect(readdirSync(join(project.dir, "node_modules/gpubox"))).not.toContain("test");
    },
    10 * MINUTE,
  );

  test("its types pass a user's strict compiler", async () => {
    writeFileSync(join(project.dir, "uses.ts"), USES);
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
    const types = ["--typeRoots", join(packageDir, "node_modules/@types"), "--types", "node"];
    const compiler = join(packageDir, "node_modules/.bin/tsc");
    const compiled = await run(compiler, [...options, ...types, "uses.ts", "index.ts"], { cwd: project.dir });
    rmSync(join(project.dir, "uses.ts"));
    ok(compiled);
  });

  test("its preview of the new project needs no host", async () => {
    expect(ok(await gpubox("preview", "--stack", "dev"))).toContain("models: 1 added");
  });

  test(
    "brings up the project's box from an edited config",
    async () => {
      // Not the box of a person at this machine.
      renameSync(join(project.dir, "Pulumi.dev.yaml"), join(project.dir, `Pulumi.${STACK}.yaml`));
      edit((config) => {
        config["gpubox:host"]!.dataDir = project.dataDir;
        config["gpubox:gateway"] = { port: PORT, drainTimeout: 30 };
        config["gpubox:models"] = { tiny: canned };
      });
      exports = exportsIn(ok(await gpubox("up", "--yes", "--stack", STACK)));
      masterKey = ok(
        await inShell(project, exports, `pulumi config get gpubox:masterKey --stack ${STACK}`),
      ).trim();
      expect(await complete(project.endpoint, masterKey, "tiny")).not.toMatch(/^\d{3} /);
    },
    15 * MINUTE,
  );

  test("plain Pulumi runs the project's three lines, and has nothing to change", async () => {
    const preview = await inShell(
      project,
      exports,
      `pulumi preview --expect-no-changes --non-interactive --stack ${STACK}`,
    );
    expect(ok(preview)).toContain("unchanged");
  }, 300_000);

  test(
    "adds a model by its config, next to one that stays unchanged",
    async () => {
      const before = await containersOf(STACK);
      edit((config) => {
        config["gpubox:models"]!.second = { ...canned, aliases: ["other"] };
      });
      expect(ok(await gpubox("preview", "--stack", STACK))).toContain("models: 1 added");
      ok(await inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK}`));
      expect(await modelsAt(project.endpoint, masterKey)).toEqual(["other", "second", "tiny"]);
      expect(await complete(project.endpoint, masterKey, "other")).not.toMatch(/^\d{3} /);
      const after = await containersOf(STACK);
      expect(changed(before, after)).toEqual(["backend-second", "gateway", "valve-second"]);
    },
    15 * MINUTE,
  );

  test(
    "removes the box, and keeps its data until it is named",
    async () => {
      const down = JSON.parse(ok(await gpubox("down", "--stack", STACK, "--json")));
      expect(down).toEqual({ stack: STACK, keptVolumes: [`gpubox-${STACK}-database`] });
      expect(await containersOf(STACK)).toEqual({});
      ok(await gpubox("down", "--yes", "--volume", "database", "--stack", STACK));
    },
    10 * MINUTE,
  );
});
