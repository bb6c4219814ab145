import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { complete, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { ask, protocols } from "../support/protocols";
import { Turns } from "../support/turns";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("groups");
const PAINTER_PORT = PORT + 2;
const PAINTER_KEY = "sk-painter-0123456789abcdef0123456789abcdef";
/** A registry that never answers: the image is taken as it is here. */
const REPOSITORY = `localhost:1/${STACK}/server`;
/** In which each model is loaded several times. */
const SECONDS = 15;

type Models = Record<string, Record<string, unknown>>;

needs("docker", "pulumi")("models that share a group's memory", () => {
  let project: TestProject;
  let folder: string;
  let exports: string[];

  const container = (name: string) => `gpubox-${STACK}-backend-${name}`;
  const edit = (change: (models: Models) => void) =>
    editStack(project, (config) => change((config as unknown as Record<string, Models>)["gpubox:models"]!));
  const up = async () => {
    const { code, stdout, stderr } = await gpubox(project, "up", "--yes");
    expect([code, stderr]).toEqual([0, ""]);
    return stdout;
  };

  /** What a model's seat says of itself. Not asked inside the container, where a seat ends whatever is left with its engine. */
  const seat = (name: string) =>
    readFileSync(join(project.dataDir, "group-pair-seats", name, "state"), "utf8").split(/\s/)[0];
  const seats = () => Object.fromEntries(["a", "b", "c"].map((name) => [name, seat(name)]));
  const reaches = (name: string, state: string) => until(`${name} is ${state}`, () => seat(name) === state);
  /** Since when its container runs, and how often its engine has loaded there. */
  const history = async (name: string) => {
    const started = await output("docker", [
      "inspect",
      "--format",
      "{{.Id}} {{.State.StartedAt}}",
      container(name),
    ]);
    const { stdout } = await run("docker", ["logs", container(name)]);
    return [started, stdout.split("gpubox: starts the engine").length - 1];
  };

  const text = async (model: string, stream: boolean) =>
    (await ask(project.endpoint, "none", protocols.chat, { model, text: "ping", maxTokens: 32, stream }))
      .text;

  /** Asks until it is ended, and gives every different answer. */
  function keepAsking(model: string) {
    const answers = new Set<string>();
    let ended = false;
    const loop = async () => {
      while (!ended) {
        answers.add(await text(model, false).catch(String));
        await pause(100, "a client that asks on and on, and not a load");
      }
      return [...answers];
    };
    return {
      answers: loop(),
      stop() {
        ended = true;
      },
    };
  }

  const gguf = (name: string) => {
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, cannedModel({ answer: `this is ${name}` }), { mode: 0o644 });
    return path;
  };

  /** llama-server by its command alone. */
  const server = (name: string) => ({
    engine: "container",
    image: { repository: REPOSITORY, tag: "v1" },
    command: [
      "/app/llama-server",
      "--model",
      `/weights/${name}.gguf`,
      "--host",
      "0.0.0.0",
      "--port",
      "8188",
      "--alias",
      name,
    ],
    mounts: [{ source: folder, target: "/weights" }],
    ...{ port: 8188, healthPath: "/health", memoryMiB: 1024, start: "ondemand", group: "pair" },
  });

  beforeAll(async () => {
    folder = scratch("groups-models");
    chmodSync(folder, 0o755);
    for (const name of ["b", "c"]) gguf(name);
    writeFileSync(join(folder, "picture.txt"), "a picture", { mode: 0o644 });
    project = makeProject(
      STACK,
      PORT,
      {
        gateway: { port: PORT, drainTimeout: 10, auth: "none" },
        ...{ cache: { mode: "none" }, database: { mode: "none" } },
        groups: { pair: { memoryGiB: 1.5 } },
        models: {
          a: {
            ...{ engine: "llamacpp", model: `file://${gguf("a")}`, memoryMiB: 1024 },
            ...{ start: "ondemand", group: "pair" },
          },
        },
      },
      { gateway: "stub" },
    );
    exports = exportsIn(await up());
    await output("docker", ["tag", recipeReference(project.dir, "llamacpp"), `${REPOSITORY}:v1`]);
  }, 20 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    rmSync(folder, { recursive: true });
    await run("docker", ["image", "rm", `${REPOSITORY}:v1`]);
  }, MINUTE);

  test(
    "models join a group, and the one that is loaded there goes on answering",
    async () => {
      expect(await text("a", false)).toBe("this is a");
      const before = await history("a");
      const set = `printf %s ${PAINTER_KEY} | pulumi config set --secret gpubox:painterKey --stack ${STACK}`;
      expect((await inShell(project, exports, set)).stderr).toBe("");
      edit((models) => {
        models.b = server("b");
        models.c = { ...server("c"), memoryMiB: 512, idleSeconds: 5 };
        models.painter = {
          ...{ engine: "container", image: { repository: REPOSITORY, tag: "v1" }, api: "own" },
          command: ["python3", "-m", "http.server", "8000", "--directory", "/pictures"],
          mounts: [{ source: folder, target: "/pictures" }],
          ...{ port: 8000, healthPath: "/picture.txt", routes: ["/picture.txt"], memoryMiB: 128 },
          expose: { port: PAINTER_PORT, key: { secret: "painterKey" } },
        };
      });
      const asking = keepAsking("a");
      const said = await up().finally(() => asking.stop());
      expect(said).toContain("proven: b answers (chat");
      expect(said).toContain("proven: c answers (chat");
      expect(await asking.answers).toEqual(["this is a"]);
      // The proof of b took its memory for a moment; its container never stopped.
      expect((await history("a"))[0]).toBe(before[0]);
    },
    10 * MINUTE,
  );

  test("a server with an API of its own answers at its port, at its routes, to its key, and the gateway does not know it", async () => {
    const get = (path: string, key: string) =>
      fetch(`http://127.0.0.1:${PAINTER_PORT}${path}`, { headers: { authorization: `Bearer ${key}` } });
    const picture = await get("/picture.txt", PAINTER_KEY);
    expect([picture.status, await picture.text()]).toEqual([200, "a picture"]);
    expect((await get("/picture.txt", "sk-other")).status).toBe(401);
    expect((await get("/a.gguf", PAINTER_KEY)).status).toBe(404);
    expect(await modelsAt(project.endpoint, "none")).toEqual(["a", "b", "c"]);
  });

  test(
    "as many are loaded as the budget holds, and the least recently used one goes first",
    async () => {
      for (const name of ["a", "c"]) expect(await text(name, false)).toBe(`this is ${name}`);
      expect(seats()).toEqual({ a: "ready", b: "stopped", c: "ready" });
      expect(await text("a", true)).toBe("this is a");
      // b is as large as a, and c alone would not make enough room: c stays.
      expect(await text("b", true)).toBe("this is b");
      expect(seats()).toEqual({ a: "stopped", b: "ready", c: "ready" });
    },
    2 * MINUTE,
  );

  test(
    "one that nobody asks is unloaded, and nothing of its engine is left",
    async () => {
      await reaches("c", "stopped");
      const { stdout } = await run("docker", ["top", container("c"), "-o", "args"]);
      expect(stdout).not.toContain("llama-server --");
      expect(seat("b")).toBe("ready");
    },
    MINUTE,
  );

  test(
    "eight clients that ask them in turn lose nothing: no request fails, none is cut, none is answered by another model",
    async () => {
      const before = await Promise.all(["a", "b"].map(history));
      const ask = (model: string, turn: number) => text(model, turn % 4 < 2);
      const turns = new Turns(SECONDS * 1000, ask, (model) => `this is ${model}`);
      await turns.ended;
      expect(Object.keys(turns.answers).sort()).toEqual(["a", "b"]);
      const after = await Promise.all(["a", "b"].map(history));
      // They took turns, in containers that went on running.
      for (const [index, [started, loads]] of after.entries()) {
        expect(started).toBe(before[index]![0]);
        expect(loads).toBeGreaterThan(before[index]![1] as number);
      }
    },
    SECONDS * 1000 + 3 * MINUTE,
  );

  test(
    "a model is stopped and started by itself, and preview and drift see nothing in what is loaded",
    async () => {
      const stopped = await gpubox(project, "model", "stop", "b");
      expect([stopped.code, stopped.stderr]).toEqual([0, ""]);
      expect(stopped.stdout).toContain(
        `b is stopped; gpubox model start b --stack ${STACK} starts it again\n`,
      );
      expect(await complete(project.endpoint, "none", "b")).toMatch(/^503 .*its container is stopped/);
      expect(await text("a", false)).toBe("this is a");
      const started = await gpubox(project, "model", "start", "b");
      expect([started.code, started.stderr]).toEqual([0, ""]);
      expect(await text("b", false)).toBe("this is b");
      const preview = await inShell(
        project,
        exports,
        `pulumi preview --refresh --expect-no-changes --stack ${STACK}`,
      );
      expect([preview.code, preview.stdout]).toEqual([0, expect.any(String)]);
      const drift = await gpubox(project, "drift");
      expect([drift.code, drift.stderr]).toEqual([0, ""]);
    },
    5 * MINUTE,
  );

  test(
    "a model that cannot be loaded fails `up` with the reason, and the others keep serving",
    async () => {
      expect(await text("a", false)).toBe("this is a");
      edit((models) => {
        models.c!.command = ["/app/llama-server", "--no-such-flag"];
      });
      const failed = await gpubox(project, "up", "--yes");
      expect(failed.code).not.toBe(0);
      expect(failed.stdout + failed.stderr).toContain(
        "Model c is not available: its server did not load; the log of backend-c says why",
      );
      expect(await text("a", false)).toBe("this is a");
    },
    10 * MINUTE,
  );
});
