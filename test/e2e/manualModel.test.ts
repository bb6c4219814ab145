import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("manual");
const ANSWER = "pong from the gpubox test model";
const BACKEND = `gpubox-${STACK}-backend-giant`;
const HINT = `gpubox model start giant --stack ${STACK}`;

type Sections = Record<string, Record<string, Record<string, unknown>>>;

needs("docker", "pulumi")("a model that people start", () => {
  let project: TestProject;
  let exports: string[];

  const inspect = async (format: string) =>
    (await output("docker", ["inspect", "--format", format, BACKEND])).trim();
  const pulumi = (command: string) => inShell(project, exports, `pulumi ${command} --stack ${STACK}`);
  const ask = () => complete(project.endpoint, "none", "giant");
  const edit = (change: (giant: Record<string, unknown>) => void) =>
    editStack(project, (config) => change((config as unknown as Sections)["gpubox:models"]!.giant!));

  beforeAll(async () => {
    // What LiteLLM makes of such a model's answers is shown in generations.test.ts.
    project = makeProject(
      STACK,
      PORT,
      {
        gateway: { port: PORT, drainTimeout: 10, auth: "none" },
        cache: { mode: "none" },
        database: { mode: "none" },
        models: {
          giant: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1, start: "manual" },
        },
      },
      { gateway: "stub" },
    );
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    exports = exportsIn(up.stdout);
  }, 20 * MINUTE);
  afterAll(() => removeProject(project), MINUTE);

  test("is created and routed by up, but not started", async () => {
    expect(await inspect("{{.State.Status}}")).toBe("created");
    expect(await modelsAt(project.endpoint, "none")).toEqual(["giant"]);
  });

  test(
    "serves after it is started, and neither up nor a preview counts that as a difference",
    async () => {
      const started = await gpubox(project, "model", "start", "giant");
      expect([started.code, started.stderr]).toEqual([0, ""]);
      expect(started.stdout).toMatch(
        new RegExp(`^giant is loaded after \\d+ s\\ngiant serves at http://127\\.0\\.0\\.1:${PORT}\\n$`, "m"),
      );
      expect(await ask()).toBe(ANSWER);
      const id = await inspect("{{.Id}} {{.State.StartedAt}}");
      // With its preview.
      const up = await pulumi("up --yes --refresh --expect-no-changes");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(await inspect("{{.Id}} {{.State.StartedAt}}")).toBe(id);
    },
    5 * MINUTE,
  );

  test(
    "keeps running after a change that replaces its container",
    async () => {
      const id = await inspect("{{.Id}}");
      edit((giant) => {
        giant.ctxSize = 2048;
      });
      const up = await pulumi("up --yes --skip-preview --refresh");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(await inspect("{{.Id}}")).not.toBe(id);
      expect(await inspect("{{.State.Status}}")).toBe("running");
      expect(await ask()).toBe(ANSWER);
    },
    5 * MINUTE,
  );

  test(
    "stays stopped after it is stopped, also when its container is replaced",
    async () => {
      const stopped = await gpubox(project, "model", "stop", "giant");
      expect([stopped.code, stopped.stderr, stopped.stdout]).toEqual([
        0,
        "",
        `drained\ngiant is stopped; ${HINT} starts it again\n`,
      ]);
      expect(await inspect("{{.State.Status}}")).toBe("exited");
      expect(await ask()).toContain(HINT);
      edit((giant) => {
        giant.ctxSize = 1024;
      });
      const up = await pulumi("up --yes --skip-preview --refresh");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(await inspect("{{.State.Status}}")).toBe("created");
      const preview = await pulumi("preview --refresh --expect-no-changes");
      expect(preview.code).toBe(0);
    },
    5 * MINUTE,
  );

  test(
    "a failed start shows the engine's last words",
    async () => {
      await run("sh", ["-c", `mv ${project.dataDir}/models/canned-1.gguf ${project.dataDir}/models/away`]);
      const started = await gpubox(project, "model", "start", "giant");
      expect(started.code).toBe(1);
      expect(started.stderr).toContain("giant did not start");
      expect(started.stderr).toContain("no such model file");
      expect(started.stderr).toContain(`or stop it: gpubox model stop giant --stack ${STACK}.`);
      expect((await gpubox(project, "model", "stop", "giant")).code).toBe(0);
    },
    2 * MINUTE,
  );

  test("an unknown name is refused with the names of the models", async () => {
    const { code, stderr } = await gpubox(project, "model", "start", "gaint");
    expect([code, stderr]).toEqual([1, expect.stringContaining("Name one of these: giant.")]);
  });
});
