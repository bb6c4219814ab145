import { spawn } from "node:child_process";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, programOf, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("traps");

type Tiny = { tiny: Record<string, unknown> };
type Models = Record<"gpubox:models", Tiny>;

/** The traps of the docker and command providers that a box has to be safe from, each shown on a real engine. */
needs("docker", "pulumi")("traps of the providers", () => {
  let project: TestProject;
  let exports: string[];

  const pulumiUp = () => inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK}`);
  const inspect = (id: string, format: string) => output("docker", ["inspect", "--format", format, id]);
  const editTiny = (edit: (tiny: Record<string, unknown>) => void) =>
    editStack(project, (config) => edit((config as unknown as Models)["gpubox:models"].tiny));

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {}, { gateway: "stub" });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    exports = exportsIn(up.stdout);
  }, 20 * MINUTE);
  afterAll(() => removeProject(project));

  test(
    "a setting that was added and then removed is gone from the container",
    async () => {
      editTiny((tiny) => {
        tiny.env = { GPUBOX_TEST: "1" };
      });
      expect((await pulumiUp()).code).toBe(0);
      const withIt = await containersOf(STACK);
      expect(await inspect(withIt["backend-tiny"]!, "{{json .Config.Env}}")).toContain("GPUBOX_TEST=1");
      editTiny((tiny) => {
        delete tiny.env;
      });
      expect((await pulumiUp()).code).toBe(0);
      const without = await containersOf(STACK);
      expect(await inspect(without["backend-tiny"]!, "{{json .Config.Env}}")).not.toContain("GPUBOX_TEST");
      expect(changed(withIt, without)).toEqual(["backend-tiny", "gateway"]);
    },
    5 * MINUTE,
  );

  test(
    "a changed health check replaces the container instead of being ignored silently",
    async () => {
      const before = await containersOf(STACK);
      editTiny((tiny) => {
        tiny.readySeconds = 77;
      });
      expect((await pulumiUp()).code).toBe(0);
      const after = await containersOf(STACK);
      expect(await inspect(after["backend-tiny"]!, "{{.Config.Healthcheck.StartPeriod}}")).toBe("1m17s");
      expect(changed(before, after)).toContain("backend-tiny");
    },
    5 * MINUTE,
  );

  test(
    "a backend that never gets healthy fails every `up` until it is repaired, and the old gateway keeps serving",
    async () => {
      const before = await containersOf(STACK);
      editTiny((tiny) => {
        tiny.model = `file://${project.dataDir}/models/missing.gguf`;
        tiny.readySeconds = 15;
      });
      for (const attempt of ["first", "second"]) {
        const up = await pulumiUp();
        expect([attempt, up.code === 0]).toEqual([attempt, false]);
        expect(up.stdout + up.stderr).toContain("backend-tiny");
      }
      expect((await containersOf(STACK)).gateway).toBe(before.gateway);
      editTiny((tiny) => {
        tiny.model = "canned";
      });
      expect((await gpubox(project, "up")).code).toBe(0);
    },
    10 * MINUTE,
  );

  test(
    "what an interrupted create left behind is removed by the next `gpubox up`",
    async () => {
      const labels = ["--label", `gpubox.stack=${STACK}`, "--label", "gpubox.role=cache"];
      await output("docker", ["rm", "-f", (await containersOf(STACK)).cache!]);
      const image = (
        await output("docker", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "gpubox/cache"])
      ).split("\n")[0]!;
      await output("docker", ["create", "--name", `gpubox-${STACK}-cache`, ...labels, image]);
      // Plain pulumi would find the name taken for ever.
      const up = await gpubox(project, "up");
      expect(up.stderr).toBe("");
      expect(up.code).toBe(0);
      expect(Object.keys(await containersOf(STACK))).toHaveLength(6);
    },
    5 * MINUTE,
  );

  test.each(["SIGINT", "SIGKILL"] as const)(
    "after %s in the middle of `up` the next one converges",
    async (signal) => {
      editTiny((tiny) => {
        tiny.tpm = signal === "SIGINT" ? 1000 : 2000;
        tiny.ctxSize = signal === "SIGINT" ? 2048 : 1024;
      });
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
      const up = await gpubox(project, "up");
      expect(up.stderr).toBe("");
      expect(up.code).toBe(0);
      const preview = await inShell(
        project,
        exports,
        `pulumi preview --stack ${STACK} --refresh --expect-no-changes`,
      );
      expect(preview.code).toBe(0);
    },
    10 * MINUTE,
  );

  test(
    "a container that somebody removed by hand is brought back by `up --refresh`",
    async () => {
      await output("docker", ["rm", "-f", (await containersOf(STACK))["valve-tiny"]!]);
      const up = await inShell(project, exports, `pulumi up --yes --skip-preview --refresh --stack ${STACK}`);
      expect(up.code).toBe(0);
      expect(Object.keys(await containersOf(STACK)).sort()).toEqual([
        "backend-tiny",
        "cache",
        "database",
        "edge",
        "gateway",
        "valve-tiny",
      ]);
    },
    5 * MINUTE,
  );

  test("nobody but root and its container's group can read a file of the box, except model files and the owner file", async () => {
    const find = ["find", project.dataDir, "-type", "f", "-readable"];
    const nobody = await run("setpriv", ["--reuid=12345", "--regid=12345", "--clear-groups", ...find]);
    const readable = nobody.stdout.split("\n").filter(Boolean).sort();
    expect(readable).toEqual([`${project.dataDir}/.gpubox-stack`, `${project.dataDir}/models/canned-1.gguf`]);
  });
});
