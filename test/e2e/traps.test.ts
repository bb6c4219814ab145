import { spawn } from "node:child_process";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { changed, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, programOf, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("traps");

/** Roles of the box's containers. */
const ALL = ["backend-tiny", "cache", "database", "edge", "gateway", "valve-tiny"];

/** Filling this much takes more memory than the model gets. */
const SLOW_CONTEXT = 4_000_000;

type Tiny = { tiny: Record<string, unknown> } & Record<string, unknown>;
type Models = Record<"gpubox:models", Tiny>;

/** The traps of the docker and command providers that a box has to be safe from, each shown on a real engine. */
needs("docker", "pulumi")("traps of the providers", () => {
  let project: TestProject;
  let folder: string;
  let exports: string[];

  const shell = (command: string) => inShell(project, exports, `${command} --stack ${STACK}`);
  const pulumiUp = (...flags: string[]) => shell(["pulumi up --yes --skip-preview", ...flags].join(" "));
  const inspect = (id: string, format: string) => output("docker", ["inspect", "--format", format, id]);
  const editTiny = (edit: (tiny: Record<string, unknown>, models: Record<string, unknown>) => void) =>
    editStack(project, (config) => {
      const models = (config as unknown as Models)["gpubox:models"];
      edit(models.tiny, models);
    });
  const envOfTiny = async () => inspect((await containersOf(STACK))["backend-tiny"]!, "{{json .Config.Env}}");

  /** Sends the signal to an `up` that has begun to replace a container. */
  async function interruptUp(signal: "SIGINT" | "SIGKILL"): Promise<void> {
    const child = spawn(process.execPath, programOf(project, ["up", "--stack", STACK]), {
      cwd: project.dir,
      env: { ...process.env, ...project.env },
      detached: true,
    });
    let text = "";
    const started = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (/docker:index:Container .* (creating|deleting)/.test(text)) resolve();
      });
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    await Promise.race([started, ended]);
    process.kill(-child.pid!, signal);
    await ended;
    expect(text).not.toContain("The box serves at");
  }

  async function nextUpConverges(): Promise<void> {
    const up = await gpubox(project, "up");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    expect(Object.keys(await containersOf(STACK)).sort()).toEqual(ALL);
    expect((await shell("pulumi preview --refresh --expect-no-changes")).code).toBe(0);
  }

  beforeAll(async () => {
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    const tiny = {
      engine: "llamacpp",
      model: "canned",
      memoryMiB: 2048,
      threads: 1,
      env: { GPUBOX_TEST: "1" },
    };
    project = makeProject(
      STACK,
      PORT,
      { database: { mode: "bundled" }, models: { tiny } },
      { gateway: "stub" },
    );
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    exports = exportsIn(up.stdout);
  }, 20 * MINUTE);
  afterAll(() => {
    removeProject(project);
    rmSync(folder, { recursive: true });
  });

  test(
    "a changed health check replaces its container, and `up --refresh` brings back one that somebody removed by hand",
    async () => {
      const before = await containersOf(STACK);
      await output("docker", ["rm", "-f", before["valve-tiny"]!]);
      editTiny((tiny) => {
        tiny.readySeconds = 77;
      });
      expect((await pulumiUp("--refresh")).code).toBe(0);
      const after = await containersOf(STACK);
      expect(await inspect(after["backend-tiny"]!, "{{.Config.Healthcheck.StartPeriod}}")).toBe("1m17s");
      expect(changed(before, after)).toEqual(["backend-tiny", "gateway", "valve-tiny"]);
      expect(Object.keys(after).sort()).toEqual(ALL);
    },
    5 * MINUTE,
  );

  test(
    "a server that is killed for lack of memory fails `up` with that reason, and the old gateway keeps serving",
    async () => {
      const before = await containersOf(STACK);
      const giant = join(folder, "giant.gguf");
      writeFileSync(giant, cannedModel({ context: SLOW_CONTEXT }), { mode: 0o644 });
      editTiny((_, models) => {
        const needs = { ctxSize: SLOW_CONTEXT, memoryMiB: 128, readySeconds: 60 };
        models.giant = { engine: "llamacpp", model: `file://${giant}`, ...needs };
      });
      const up = await pulumiUp();
      editTiny((_, models) => {
        delete models.giant;
      });
      expect(up.code).not.toBe(0);
      expect(up.stdout + up.stderr).toContain("backend-giant was killed for lack of memory (memoryMiB 128)");
      expect((await containersOf(STACK)).gateway).toBe(before.gateway);
    },
    5 * MINUTE,
  );

  test(
    "a model's file that does not exist fails every `up` with its path until it is repaired, and the old gateway keeps serving",
    async () => {
      const before = await containersOf(STACK);
      const missing = `${project.dataDir}/models/missing.gguf`;
      editTiny((tiny) => {
        tiny.model = `file://${missing}`;
        tiny.readySeconds = 15;
      });
      for (const attempt of ["first", "second"]) {
        const up = await pulumiUp();
        expect([attempt, up.code === 0]).toEqual([attempt, false]);
        const said = up.stdout + up.stderr;
        expect(said).toMatch(/backend-tiny (ended|is not healthy)/);
        // The recipe's words, or llama.cpp's own.
        expect(said).toMatch(new RegExp(`(no such model file|failed to open).*${missing}`));
      }
      expect((await containersOf(STACK)).gateway).toBe(before.gateway);
    },
    10 * MINUTE,
  );

  test(
    "after SIGINT in the middle of a repairing `up` the next one converges, and removes what an interrupted create left",
    async () => {
      editTiny((tiny) => {
        tiny.model = "canned";
        tiny.tpm = 1000;
      });
      await interruptUp("SIGINT");
      const labels = ["--label", `gpubox.stack=${STACK}`, "--label", "gpubox.role=cache"];
      const { cache } = await containersOf(STACK);
      const image = await inspect(cache!, "{{.Image}}");
      await output("docker", ["rm", "-f", cache!]);
      // Plain pulumi would find the name taken for ever.
      await output("docker", ["create", "--name", `gpubox-${STACK}-cache`, ...labels, image.trim()]);
      await nextUpConverges();
    },
    10 * MINUTE,
  );

  test(
    "after SIGKILL in the middle of `up` the next one converges, and a setting that it removes is gone from the container",
    async () => {
      const withIt = await containersOf(STACK);
      expect(await envOfTiny()).toContain("GPUBOX_TEST=1");
      editTiny((tiny) => {
        delete tiny.env;
      });
      // That it begins to replace a container shows that the removal alone is a difference.
      await interruptUp("SIGKILL");
      await nextUpConverges();
      expect(await envOfTiny()).not.toContain("GPUBOX_TEST");
      expect(changed(withIt, await containersOf(STACK))).toEqual(["backend-tiny", "gateway"]);
    },
    10 * MINUTE,
  );

  test("nobody but root and its container's group can read a file of the box, except model files and the owner file", async () => {
    const find = ["find", project.dataDir, "-type", "f", "-readable"];
    const nobody = await run("setpriv", ["--reuid=12345", "--regid=12345", "--clear-groups", ...find]);
    const readable = nobody.stdout.split("\n").filter(Boolean).sort();
    expect(readable).toEqual([`${project.dataDir}/.gpubox-stack`, `${project.dataDir}/models/canned-1.gguf`]);
  });
});
