import { chmodSync, copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CLOSED_ROUTES, OPEN_ROUTES, spellings } from "../../configs/network/clientRoutes";
import type { Mode } from "../../configs/schema/model";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { sseEvents } from "../../operations/smoke/sse";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { allocate, scratch } from "../support/allocate";
import { runBeside } from "../support/beside";
import { exportsIn, masterKeyOf } from "../support/box";
import { type Asked, askedOf, sha256 } from "../support/modalities";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { askRaw } from "./haproxy/client";
import {
  CASES,
  type Case,
  ENGINES,
  type EngineName,
  MASK,
  messages,
  modes,
  nameOf,
  PICTURE,
  SOUND,
} from "./modalities/cases";

const MINUTE = 60_000;
const MIB = 1024 ** 2;
const { stack: STACK, port: PORT } = allocate("modal");
/** A registry that never answers: the image is taken as it is here. */
const REPOSITORY = `localhost:1/${STACK}/server`;
const BESIDE = "modalities";

const every = ENGINES.flatMap((engine) =>
  (Object.keys(CASES) as (keyof typeof CASES)[]).map((route) => [route, engine] as const),
);

needs("docker", "pulumi")("every open route, by edge, gateway and valve", () => {
  let project: TestProject;
  let folder: string;
  let key: string;

  const serverOf = (engine: EngineName, mode: Mode) =>
    engine === "openai" ? `gpubox-${STACK}-${BESIDE}` : `gpubox-${STACK}-backend-${nameOf(engine, mode)}`;

  const send = (path: string, init: RequestInit = {}, port = PORT) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      ...init,
      headers: { authorization: `Bearer ${key}`, ...init.headers },
    });
  const sendJson = (path: string, body: unknown) =>
    send(path, { headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

  function sendCase(path: string, engine: EngineName, { mode, body, form }: Case, stream = false) {
    const model = nameOf(engine, mode);
    if (!form) return sendJson(path, { model, ...body, ...(stream ? { stream } : {}) });
    const data = new FormData();
    data.set("model", model);
    for (const [name, value] of form)
      if (typeof value === "string") data.append(name, value);
      else data.append(name, new Blob([value.bytes as never]), value.file);
    return send(path, { body: data });
  }

  /** What a request made its server be asked. */
  async function reached<T>(engine: EngineName, mode: Mode, ask: () => Promise<T>): Promise<[T, Asked[]]> {
    const server = serverOf(engine, mode);
    const before = (await askedOf(server)).length;
    const answer = await ask();
    return [answer, (await askedOf(server)).slice(before)];
  }

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const built = await buildRecipes(["gateway"], { projectDir: packageDir, docker, log: () => {} });
    await output("docker", ["tag", built.gateway!, `${REPOSITORY}:v1`]);
    folder = scratch(`${STACK}-server`);
    chmodSync(folder, 0o755);
    copyFileSync(join(packageDir, "test/support/modalities.py"), join(folder, "server.py"));
    const far = (mode: Mode) => ({
      ...{ engine: "openai", baseUrl: `http://gpubox-${STACK}-${BESIDE}:8000/v1`, model: "served" },
      ...{ mode, start: "manual", apiKey: "none", messages: mode === "chat" ? "native" : "translated" },
    });
    const near = (mode: Mode) => ({
      ...{ engine: "container", image: { repository: REPOSITORY, tag: "v1" }, model: "served", mode },
      ...{ command: ["python3", "/server/server.py", "8188"], port: 8188, healthPath: "/health" },
      ...{ mounts: [{ source: folder, target: "/server" }], memoryMiB: 512, keyVariable: "SERVER_KEY" },
    });
    const entries = (engine: EngineName, entry: (mode: Mode) => object) =>
      Object.fromEntries(modes.map((mode) => [nameOf(engine, mode), entry(mode)]));
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      ...{ cache: { mode: "none" }, database: { mode: "none" } },
      models: {
        ...entries("openai", far),
        ...entries("container", near),
        // One that takes masks, and one without /v1/responses.
        masks: { ...far("image_generation"), provider: "openai" },
        bridged: { ...far("chat"), params: { use_chat_completions_api: true } },
      },
    });
    const { code, stdout, stderr } = await gpubox(project, "up", "--yes");
    expect([code, stderr]).toEqual([0, ""]);
    key = await masterKeyOf(project, exportsIn(stdout));
    await runBeside(project, { role: BESIDE, script: "support/modalities.py" });
  }, 20 * MINUTE);
  afterAll(async () => {
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
    await run("docker", ["image", "rm", `${REPOSITORY}:v1`]);
  }, MINUTE);

  describe.each(every)("%s of %s", (route, engine) => {
    const about = CASES[route](engine);

    test(
      "whole: what was sent arrives, and what is answered comes back",
      async () => {
        for (const path of spellings(route, OPEN_ROUTES[route])) {
          const [answer, asked] = await reached(engine, about.mode, () => sendCase(path, engine, about));
          const type = answer.headers.get("content-type");
          const body = type?.includes("json")
            ? await answer.json()
            : { type, sha256: sha256(Buffer.from(await answer.arrayBuffer())) };
          expect([path, answer.status, body]).toEqual([path, 200, partly(about.whole)]);
          expect(asked).toEqual(
            about.reaches.map((one) => ({ method: "POST", key: expect.any(String), ...one })),
          );
          // The clients' key stays at the gateway.
          expect(asked.filter((one) => one.key?.includes(key))).toEqual([]);
        }
      },
      MINUTE,
    );

    if (about.streamed) {
      const { reaches, text } = about.streamed;
      test("as a stream", async () => {
        const [answer, asked] = await reached(engine, about.mode, async () => {
          const response = await sendCase(route, engine, about, true);
          expect([response.status, response.headers.get("content-type")]).toEqual([
            200,
            expect.stringContaining("text/event-stream"),
          ]);
          let read = "";
          for await (const { data } of sseEvents(response.body!)) read += textOf(data);
          return read;
        });
        expect(answer).toBe(text);
        expect(asked).toEqual(reaches.map((one) => ({ method: "POST", key: expect.any(String), ...one })));
      });
    } else if (about.mode === "image_generation" || about.mode === "audio_transcription") {
      test("a wish for a stream, which LiteLLM breaks, is refused", async () => {
        const small: Case = about.form
          ? {
              ...about,
              form: [
                ["stream", "true"],
                ["file", { file: "a", bytes: PICTURE }],
              ],
            }
          : { ...about, body: { ...about.body, stream: true } };
        if (route === "/v1/images/edits") small.form![1]![0] = "image";
        const [answer, asked] = await reached(engine, about.mode, () => sendCase(route, engine, small));
        expect([answer.status, await messageOf(answer)]).toEqual([
          400,
          "This route answers in one piece: leave stream out.",
        ]);
        expect(asked).toEqual([]);
      });
    }
  });

  test.each(ENGINES)(
    "an answer that %s keeps is read, listed, cancelled and deleted by its id",
    async (engine) => {
      const kept = await sendJson("/v1/responses", {
        model: nameOf(engine, "chat"),
        input: "hi",
        store: true,
      });
      const { id } = (await kept.json()) as { id: string };
      const [answers, asked] = await reached(engine, "chat", async () => {
        const found: unknown[] = [];
        for (const [method, rest] of [
          ["GET", ""],
          ["GET", "/input_items"],
          ["POST", "/cancel"],
          ["DELETE", ""],
        ] as const) {
          const answer = await send(`/v1/responses/${id}${rest}`, { method });
          found.push([answer.status, await answer.json()]);
        }
        return found;
      });
      expect(answers).toEqual([
        [200, expect.objectContaining({ object: "response", status: "completed" })],
        [200, expect.objectContaining({ object: "list", data: [] })],
        [200, expect.objectContaining({ object: "response", status: "cancelled" })],
        [200, expect.objectContaining({ deleted: true })],
      ]);
      expect(asked.map(({ method, path }) => `${method} ${path.split("?")[0]}`)).toEqual([
        "GET /v1/responses/resp_1",
        "GET /v1/responses/resp_1/input_items",
        "POST /v1/responses/resp_1/cancel",
        "DELETE /v1/responses/resp_1",
      ]);
    },
  );

  test("a server without /v1/responses is asked for chat completions", async () => {
    const [answer, asked] = await reached("openai", "chat", () =>
      sendJson("/v1/responses", { model: "bridged", input: "hi" }),
    );
    expect([answer.status, asked.map(({ path, json }) => [path, json])]).toEqual([
      200,
      [["/v1/chat/completions", { model: "served", messages }]],
    ]);
  });

  test("a mask reaches a server of provider openai, and one of hosted_vllm does without", async () => {
    for (const [model, names] of [
      ["masks", ["image[]", "mask"]],
      [nameOf("openai", "image_generation"), ["image[]"]],
    ] as const) {
      const data = new FormData();
      for (const [name, value] of Object.entries({ model, prompt: "a cat" })) data.set(name, value);
      data.set("image", new Blob([PICTURE as never]), "cat.png");
      data.set("mask", new Blob([MASK as never]), "mask.png");
      const [answer, asked] = await reached("openai", "image_generation", () =>
        send("/v1/images/edits", { body: data }),
      );
      const files = asked[0]?.form?.filter(({ file }) => file).map(({ name }) => name);
      expect([model, answer.status, files]).toEqual([model, 200, names]);
    }
  });

  test("a file above the limit is told so", async () => {
    const data = new FormData();
    data.set("model", nameOf("container", "audio_transcription"));
    data.set("file", new Blob([SOUND as never, Buffer.alloc(7 * MIB)]), "long.wav");
    const [answer, asked] = await reached("container", "audio_transcription", () =>
      send("/v1/audio/transcriptions", { body: data }),
    );
    expect([answer.status, await messageOf(answer), asked]).toEqual([
      413,
      `The request's body is above the limit of ${32 * MIB} bytes for this route.`,
      [],
    ]);
  });

  const closed = CLOSED_ROUTES.flatMap(({ roots, why, instead }) =>
    roots.map((root) => [root, `This route is closed. ${why} ${instead}`] as const),
  );

  test.each(closed)("%s is closed, whatever is below it, and says why", async (root, message) => {
    for (const path of spellings(`/v1/${root}`).flatMap((one) => [one, `${one}/x`])) {
      const answers = [
        await sendJson(path, { model: nameOf("openai", "chat") }),
        await send(path, { method: "GET" }),
      ];
      for (const answer of answers)
        expect([path, answer.status, await messageOf(answer)]).toEqual([path, 404, message]);
    }
  });

  test("no connection becomes a WebSocket", async () => {
    const head = `GET /v1/realtime?model=m HTTP/1.1\r\nHost: localhost\r\nx-api-key: ${key}\r\n`;
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
    expect(await askRaw(PORT, `${head}${upgrade}`)).toBe("HTTP/1.1 400 Bad request");
  });

  describe("why they are closed: LiteLLM itself", () => {
    const itself = async (path: string, body: FormData | object) => {
      const isForm = body instanceof FormData;
      const answer = await send(
        path,
        isForm ? { body } : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) },
        PORT + 1,
      );
      return [answer.status, await answer.text()];
    };
    const form = (fields: Record<string, string>) => {
      const data = new FormData();
      for (const [name, value] of Object.entries(fields)) data.set(name, value);
      const line = { custom_id: "1", method: "POST", url: "/v1/chat/completions", body: { messages } };
      data.set("file", new Blob([JSON.stringify(line)]), "batch.jsonl");
      return data;
    };

    test.each(["/v1/audio/translations", "/v1/images/variations"])("has no %s", async (path) => {
      expect(await itself(path, form({ model: "masks" }))).toEqual([
        404,
        expect.stringContaining('"Not Found"'),
      ]);
    });

    test("runs a batch's requests in the gateway, and keeps its files in a database", async () => {
      const model = nameOf("openai", "chat");
      const batch = { model, input_file_id: "f", endpoint: "/v1/chat/completions", completion_window: "24h" };
      expect(await itself("/v1/batches", batch)).toEqual([
        400,
        expect.stringContaining(`Batches for ${model} run inside LiteLLM`),
      ]);
      expect(await itself("/v1/files", form({ purpose: "batch", target_model_names: model }))).toEqual([
        400,
        expect.stringContaining("requires a database-connected proxy"),
      ]);
    });
  });
});

/** An expectation that takes more keys than these, at every depth. */
function partly(expected: unknown): unknown {
  if (Array.isArray(expected)) return expected.map(partly);
  if (expected === null || typeof expected !== "object" || "asymmetricMatch" in expected) return expected;
  return expect.objectContaining(
    Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, partly(value)])),
  );
}

async function messageOf(answer: Response): Promise<unknown> {
  return ((await answer.json()) as { error?: { message?: string } }).error?.message;
}

/** The text that one event of a stream adds, in the words of any of the four routes that stream. */
function textOf(data: string): string {
  if (data === "[DONE]") return "";
  const { choices, delta } = JSON.parse(data) as {
    choices?: { text?: string | null; delta?: { content?: string | null } }[];
    delta?: string | { text?: string };
  };
  const chosen = (choices ?? []).map((choice) => choice.text ?? choice.delta?.content ?? "").join("");
  return chosen + (typeof delta === "string" ? delta : (delta?.text ?? ""));
}
