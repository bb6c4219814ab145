import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { commandLines, engineTexts, leaksIn } from "../support/leaks";
import { llamaSwapProgram } from "../support/llamaSwap";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { ask, type Protocol, protocols } from "../support/protocols";
import { pause } from "../support/wait";
import { eventually } from "./deviceLock/lab";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("swap");
const SLOT = `gpubox-${STACK}-slot-pair`;
const IDLE_SECONDS = 3;

/** llama-server behind a gate: it loads nothing while there is a file `<model>.held`. */
const HELD_SERVER = `#!/bin/sh
for word; do case $word in *.gguf) model=$word ;; esac; done
while [ -e "$model.held" ]; do sleep 0.2; done
exec /app/real-llama-server "$@"
`;

const DOCKERFILE = `ARG BASE
FROM \${BASE}
COPY llama-swap /app/
RUN mv /app/llama-server /app/real-llama-server
COPY llama-server /app/
`;

type Models = Record<string, Record<string, unknown>>;

needs(
  "docker",
  "pulumi",
  "llama-swap",
)("models that are loaded on demand", () => {
  let project: TestProject;
  let folder: string;
  let exports: string[];

  const gguf = (name: string) => join(folder, `${name}.gguf`);
  const hold = (name: string) => writeFileSync(`${gguf(name)}.held`, "");
  const release = (name: string) => rmSync(`${gguf(name)}.held`, { force: true });

  /** A model that says its name. */
  function model(name: string, more: Record<string, unknown>) {
    writeFileSync(gguf(name), cannedModel({ answer: `this is ${name}` }), { mode: 0o644 });
    return { engine: "llamacpp", model: `file://${gguf(name)}`, memoryMiB: 1024, ...more };
  }

  /** A recipe of one's own for an image that no recipe of the project makes (docs/images.md). */
  function addRecipe() {
    const recipe = join(project.dir, "images", "llama-swap");
    mkdirSync(recipe);
    copyFileSync(llamaSwapProgram, join(recipe, "llama-swap"));
    writeFileSync(join(recipe, "llama-server"), HELD_SERVER);
    for (const program of ["llama-swap", "llama-server"]) chmodSync(join(recipe, program), 0o755);
    writeFileSync(join(recipe, "Dockerfile"), DOCKERFILE);
  }

  const pulumi = (command: string) => inShell(project, exports, `pulumi ${command} --stack ${STACK}`);
  const up = () => pulumi("up --yes --skip-preview --refresh");
  const edit = (change: (models: Models) => void) =>
    editStack(project, (config) => change((config as unknown as Record<string, Models>)["gpubox:models"]!));
  const text = async (name: string, protocol: Protocol = protocols.chat, stream = false) =>
    (await ask(project.endpoint, "none", protocol, { model: name, text: "ping", maxTokens: 32, stream }))
      .text;

  const inSlot = (container: string, script: string) =>
    output("docker", ["exec", container, "sh", "-c", script]);

  /** What llama-swap says of the models that it runs, or starts. */
  async function running(container = SLOT): Promise<Record<string, string>> {
    const listen = (await output("docker", ["inspect", "--format", "{{json .Args}}", container])).trim();
    const port = (JSON.parse(listen) as string[]).at(-1);
    const key = 'printf \'header = "Authorization: Bearer %s"\' "$(cat /etc/gpubox/api-key)"';
    const said = await inSlot(container, `${key} | curl -fsS --config - http://127.0.0.1${port}/running`);
    const models = (JSON.parse(said) as { running: { model: string; state: string }[] }).running;
    return Object.fromEntries(models.map(({ model, state }) => [model, state]));
  }

  /** How often a model was loaded since its slot's container started. */
  async function loads(name: string): Promise<number> {
    const { stdout, stderr } = await run("docker", ["logs", SLOT]);
    return `${stdout}${stderr}`.split(`<${name}> Health check passed`).length - 1;
  }

  beforeAll(async () => {
    folder = scratch("swap-models");
    chmodSync(folder, 0o755);
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10, auth: "none" },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: {
        one: model("one", {}),
        two: model("two", { start: "ondemand", slot: "pair", idleSeconds: IDLE_SECONDS }),
        hasty: model("hasty", { start: "ondemand", timeoutSeconds: 20 }),
      },
    });
    addRecipe();
    const first = await gpubox(project, "up", "--yes");
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(first.stdout).toContain("proven: two answers (chat");
    exports = exportsIn(first.stdout);
  }, 20 * MINUTE);
  afterAll(() => {
    const image = recipeReference(project.dir, "llama-swap");
    removeProject(project);
    rmSync(folder, { recursive: true });
    spawnSync("docker", ["image", "rm", image]);
  }, MINUTE);

  test(
    "a model that had its own server joins a slot, and keeps its valve",
    async () => {
      const before = await containersOf(STACK);
      edit((models) => {
        models.one = { ...models.one, start: "ondemand", slot: "pair", idleSeconds: 0 };
      });
      const { code, stderr } = await up();
      expect([code, stderr]).toEqual([0, ""]);
      const after = await containersOf(STACK);
      expect(changed(before, after)).toEqual(["backend-one", "gateway", "slot-pair"]);
      expect(after["backend-one"]).toBeUndefined();
    },
    5 * MINUTE,
  );

  test(
    "a request to either loads it, and it is answered on both protocols",
    async () => {
      for (const name of ["one", "two"])
        for (const protocol of Object.values(protocols))
          for (const stream of [false, true])
            expect(await text(name, protocol, stream)).toBe(`this is ${name}`);
    },
    2 * MINUTE,
  );

  test(
    "one replaces the other, stays loaded for a while, and is unloaded when idle",
    async () => {
      expect(await text("one")).toBe("this is one");
      expect(await running()).toEqual({ one: "ready" });
      await pause(2 * IDLE_SECONDS * 1000, "it would be gone by then if it had the other's idleSeconds");
      expect(await running()).toEqual({ one: "ready" });
      expect(await text("two")).toBe("this is two");
      await eventually(async () => Object.keys(await running()).length === 0, "nothing is loaded");
      const { stdout } = await run("docker", ["top", SLOT, "-o", "args"]);
      expect(stdout).not.toContain("llama-server");
    },
    2 * MINUTE,
  );

  test(
    "requests during a load wait for it, and share it",
    async () => {
      expect(await text("two")).toBe("this is two");
      const before = await loads("one");
      hold("one");
      const first = text("one");
      await eventually(async () => (await running()).one === "starting", "it starts");
      const others = [text("one"), text("one", protocols.messages, true), text("two")];
      release("one");
      expect(await Promise.all([first, ...others])).toEqual([
        "this is one",
        "this is one",
        "this is one",
        "this is two",
      ]);
      expect(await loads("one")).toBe(before + 1);
    },
    2 * MINUTE,
  );

  test(
    "a request waits no longer than timeoutSeconds, and its answer names the model",
    async () => {
      const slot = `gpubox-${STACK}-slot-hasty`;
      const health = ["inspect", "--format", "{{.State.Health.Status}}", slot];
      // The proof has loaded it.
      await output("docker", ["restart", slot]);
      await eventually(async () => (await output("docker", health)).trim() === "healthy", "the slot is back");
      hold("hasty");
      const answer = await complete(project.endpoint, "none", "hasty");
      expect(await running(slot)).toEqual({ hasty: "starting" });
      expect(answer).toMatch(/^408 .*Timeout passed=20.0.*model group 'hasty' failed/);
      release("hasty");
      const asked = () => complete(project.endpoint, "none", "hasty");
      await eventually(async () => (await asked()) === "this is hasty", "it is loaded after all");
    },
    3 * MINUTE,
  );

  test("its key is in no command line, and the engine shows it to nobody", async () => {
    const secrets = { backendKey: (await inSlot(SLOT, "cat /etc/gpubox/api-key")).trim() };
    expect(secrets.backendKey).toMatch(/^[0-9a-f]{64}$/);
    const { inspect, logs } = await engineTexts(STACK);
    const places = { inspect, logs, argv: commandLines() };
    for (const [place, all] of Object.entries(places)) expect(leaksIn(place, all, secrets)).toEqual([]);
  });

  test(
    "up without a change leaves the slot and what it has loaded alone",
    async () => {
      expect(await text("one")).toBe("this is one");
      const inspect = () => output("docker", ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", SLOT]);
      const [before, loaded] = [await inspect(), await loads("one")];
      const again = await gpubox(project, "up", "--yes");
      expect([again.code, again.stderr]).toEqual([0, ""]);
      expect(again.stdout).toMatch(/Resources:\n {4}\d+ unchanged/);
      expect(await inspect()).toBe(before);
      expect([await running(), await loads("one")]).toEqual([{ one: "ready" }, loaded]);
    },
    5 * MINUTE,
  );

  test(
    "gpubox model stops a slot with all its models, and starts it without loading one",
    async () => {
      const command = `gpubox model start one --stack ${STACK}`;
      const stopped = await gpubox(project, "model", "stop", "two");
      expect([stopped.code, stopped.stderr, stopped.stdout]).toEqual([
        0,
        "",
        `drained\nthe slot pair is stopped, and one, two with it; ${command} starts it again\n` +
          "The next `gpubox up` starts it again, because its entry does not say start: manual.\n",
      ]);
      const started = await gpubox(project, "model", "start", "two");
      expect([started.code, started.stderr]).toEqual([0, ""]);
      expect(started.stdout).toMatch(
        new RegExp(
          `^the slot pair answers after \\d+ s\\ntwo loads at the first request, at http://127\\.0\\.0\\.1:${PORT}\\n$`,
          "m",
        ),
      );
      expect(await running()).toEqual({});
      expect(await text("two")).toBe("this is two");
    },
    3 * MINUTE,
  );

  test(
    "a model that cannot be loaded fails `up` with the reason, and the others in its slot keep serving",
    async () => {
      edit((models) => {
        models.one!.model = `file://${folder}/absent.gguf`;
      });
      const failed = await up();
      expect(failed.code).not.toBe(0);
      const reason = "Model one is not available: its server did not load; the log of the slot pair says why";
      expect(failed.stdout + failed.stderr).toContain(reason);
      expect(await text("two")).toBe("this is two");
      expect(await complete(project.endpoint, "none", "one")).toMatch(/^503 .*its server did not load/);
      const { stdout, stderr } = await run("docker", ["logs", SLOT]);
      expect(stdout + stderr).toContain("no such model file");
    },
    10 * MINUTE,
  );
});
