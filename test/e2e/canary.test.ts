import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, type RunResult, run } from "../../platform/process";
import { Load } from "../load/client";
import { allocate, scratch } from "../support/allocate";
import { changed, containersOf, editStack } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, programOf, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const ANSWER = "pong from the gpubox test model";
const NOTHING = { failed: 0, cut: 0, wrong: 0, reasons: [] };
const { stack: STACK, port: PORT } = allocate("canary");
/** A registry that never answers: the image is taken as it is here. */
const REPOSITORY = `localhost:1/${STACK}/server`;

type Models = Record<string, Record<string, unknown>>;

needs("docker", "pulumi")("a canary under clients", () => {
  let project: TestProject;
  let folder: string;

  const edit = (change: (models: Models) => void) =>
    editStack(project, (config) => change((config as unknown as Record<string, Models>)["gpubox:models"]!));
  const up = () => gpubox(project, "up", "--yes");
  /** What was said, in one line: Pulumi prefixes and wraps nothing, but tells some things twice. */
  const said = ({ stdout, stderr }: RunResult) => stdout + stderr;
  const server = async () => (await containersOf(STACK))["backend-own"];
  const standIns = () => output("docker", ["ps", "-aq", "--filter", `name=^gpubox-${STACK}-standin-`]);
  /** The canary's present verdict, as `up` asks for it; empty without one. */
  const verdict = async () => {
    const judge = ["--judge", "600", "100", "0", "1000000"];
    const valve = `gpubox-${STACK}-valve-own`;
    return (await run("docker", ["exec", valve, "bash", "/etc/gpubox/canary.sh", ...judge])).stdout;
  };
  const watched = () =>
    until("a canary runs", async () => (await verdict()).startsWith("wait"), { seconds: 300 });

  /** What clients of a model lost while something happened: nothing. */
  async function unnoticed<T>(model: string, what: () => Promise<T>): Promise<T> {
    const { endpoint } = project;
    const clients = { shorts: 4, pauseMs: 200, streams: 0 };
    const load = new Load({ endpoint, key: "none", model, ...clients, expected: ANSWER });
    await load.start();
    let result: T;
    let tally: Awaited<ReturnType<Load["stop"]>> | undefined;
    try {
      result = await what();
    } finally {
      tally = await load.stop();
    }
    const { failed, cut, wrong, reasons, requests } = tally;
    expect({ failed, cut, wrong, reasons }).toEqual(NOTHING);
    expect(requests).toBeGreaterThan(10);
    return result;
  }

  beforeAll(async () => {
    folder = scratch("canary-engine");
    chmodSync(folder, 0o755);
    copyFileSync(join(__dirname, "canary/engine.py"), join(folder, "engine.py"));
    chmodSync(join(folder, "engine.py"), 0o644);
    const around = {
      gateway: { port: PORT, drainTimeout: 30, auth: "none" },
      ...{ cache: { mode: "none" }, database: { mode: "none" } },
    };
    const canned = {
      ...{ engine: "llamacpp", model: "canned", memoryMiB: 1024 },
      // On a busy machine a model that has just loaded may take its time.
      canary: { weight: 25, for: "15s", firstToken: 50, requests: 5 },
    };
    const own = {
      ...{ engine: "container", image: { repository: REPOSITORY, tag: "v1" }, memoryMiB: 256 },
      ...{ command: ["python3", "/srv/engine/engine.py"], port: 8188, healthPath: "/health" },
      ...{ mounts: [{ source: folder, target: "/srv/engine" }], env: { ANSWER } },
      canary: { weight: 25, for: "20m", requests: 10 },
    };
    project = makeProject(STACK, PORT, { ...around, models: { canned, own } }, { gateway: "stub" });
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const built = await buildRecipes(["gateway"], { projectDir: project.dir, docker, log: () => {} });
    await output("docker", ["tag", built.gateway!, `${REPOSITORY}:v1`]);
    const first = await up();
    expect([first.code, first.code === 0 ? "" : said(first)]).toEqual([0, ""]);
  }, 20 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    rmSync(folder, { recursive: true });
    await run("docker", ["image", "rm", `${REPOSITORY}:v1`]);
  }, MINUTE);

  test(
    "a good one is promoted when its time is over",
    async () => {
      const before = await containersOf(STACK);
      edit((models) => {
        models.canned!.ctxSize = 2048;
      });
      const result = await unnoticed("canned", up);
      expect([result.code, result.stderr]).toEqual([0, ""]);
      expect(said(result)).toMatch(/The canary of canned gets 25 % of the requests for 15s/);
      expect(said(result)).toMatch(
        /The canary of canned is promoted: 0 of its \d+ requests failed \(0 of \d+ /,
      );
      expect(changed(before, await containersOf(STACK))).toContain("backend-canned");
      expect(await standIns()).toBe("");
    },
    15 * MINUTE,
  );

  // What else its valve refuses it for, a late first token among them, is shown in haproxyCanary.test.ts.
  test(
    "one that fails requests is refused, and no client saw it",
    async () => {
      const before = await server();
      edit((models) => {
        models.own!.env = { ANSWER, FAULT: "errors" };
      });
      const result = await unnoticed("own", up);
      expect(result.code).toBe(1);
      expect(said(result)).toMatch(
        /The canary of own is refused: more of its requests fail: \d+ of its \d+ /,
      );
      expect(said(result)).toContain("The new server of own is not used; the one before serves on.");
      expect([await server(), await standIns()]).toEqual([before, ""]);
    },
    15 * MINUTE,
  );

  test(
    "a person refuses it, and `up` fails",
    async () => {
      const before = await server();
      edit((models) => {
        models.own!.env = { ANSWER, NOTE: "reverted" };
      });
      const result = await unnoticed("own", async () => {
        const running = up();
        await watched();
        const { code, stdout } = await gpubox(project, "model", "revert", "own", "--json");
        expect([code, JSON.parse(stdout)]).toEqual([0, { model: "own", canary: "reverted" }]);
        return running;
      });
      expect(result.code).toBe(1);
      expect(said(result)).toContain("The canary of own is refused: by hand: ");
      expect([await server(), await standIns()]).toEqual([before, ""]);
    },
    15 * MINUTE,
  );

  test("without one there is nothing to decide", async () => {
    const { code, stderr } = await gpubox(project, "model", "promote", "own");
    expect([code, stderr.split("\n")[0]]).toEqual([1, "error: No canary of own runs."]);
  });

  test(
    "an `up` that is killed leaves the one before serving; the next one begins anew, and a person promotes it",
    async () => {
      const before = await server();
      edit((models) => {
        models.own!.env = { ANSWER, NOTE: "promoted" };
      });
      const result = await unnoticed("own", async () => {
        const child = spawn(process.execPath, programOf(project, ["up", "--yes", "--stack", STACK]), {
          ...{ cwd: project.dir, env: { ...process.env, ...project.env } },
          ...{ detached: true, stdio: "ignore" as const },
        });
        const ended = new Promise((resolve) => child.once("close", resolve));
        await watched();
        process.kill(-child.pid!, "SIGKILL");
        await ended;
        expect(await server()).toBe(before);
        const left = await standIns();
        expect(left).not.toBe("");
        const running = up();
        await until("the next one has begun", async () => ![left, ""].includes(await standIns()), {
          seconds: 300,
        });
        await watched();
        expect((await gpubox(project, "model", "promote", "own")).code).toBe(0);
        return running;
      });
      expect([result.code, result.stderr]).toEqual([0, ""]);
      expect(said(result)).toContain("The canary of own is promoted: by hand: ");
      expect(await server()).not.toBe(before);
      expect(await standIns()).toBe("");
    },
    20 * MINUTE,
  );
});
