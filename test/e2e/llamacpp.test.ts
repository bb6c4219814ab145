import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CannedModelOptions, cannedModel } from "../../runner/cannedModel";
import { output, type RunResult, run } from "../../runner/process";
import { changed, complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import {
  hasDocker,
  hasPulumi,
  makeProject,
  npmRun,
  removeProject,
  type TestProject,
} from "../support/project";
import { IMAGE_TOKENS, PIXEL, tinyProjector } from "../support/projector";
import {
  type Answer,
  ask,
  type Protocol,
  promptTokens,
  protocols,
  type Question,
  type Tool,
} from "../support/protocols";
import { type Recorder, recorderModel, startRecorder } from "../support/recorder";

const MINUTE = 60_000;
const STACK = "eng";
const ANSWER = "It is sunny in the town that was asked for";
const CITY = { city: "Zürich", days: 3 };
// Filling this much takes a second or two: long enough to be met while it loads.
const SLOW_CONTEXT = 4_000_000;

const weather: Tool = {
  name: "get_weather",
  description: "The weather of a town",
  schema: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer", enum: [1, 3] } },
    required: ["city"],
  },
};

// Until the engine's entries have a mode, the gateway takes every model for one that chats.

type Sections = Record<string, Record<string, unknown>>;

(hasDocker && hasPulumi ? describe : describe.skip)("models of llama.cpp", () => {
  let project: TestProject;
  let folder: string;
  let exports: string[];
  let key: string;
  let recorder: Recorder;

  const shell = (command: string) => inShell(project, exports, command);

  /** Writes a model to the host; its source for the stack's config. */
  function onHost(name: string, options: CannedModelOptions): string {
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, cannedModel(options), { mode: 0o644 });
    return `file://${path}`;
  }

  /** `up` with one model more, which is taken out of the config again. */
  async function upWith(name: string, model: Record<string, unknown>): Promise<RunResult> {
    const edit = (change: (models: Record<string, unknown>) => void) =>
      editStack(project, (config) => change((config as unknown as Sections)["gpubox:models"]!));
    edit((models) => {
      models[name] = { engine: "llamacpp", readySeconds: 60, ...model };
    });
    const up = await shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
    edit((models) => {
      delete models[name];
    });
    return up;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), `gpubox-${STACK}-models-`));
    chmodSync(folder, 0o755);
    const tools = onHost("tools", {
      answer: ANSWER,
      tool: weather.name,
      arguments: CITY,
      context: SLOW_CONTEXT,
    });
    writeFileSync(join(folder, "mmproj.gguf"), tinyProjector(), { mode: 0o644 });
    project = makeProject(STACK, 4750, {
      database: { mode: "none" },
      models: {
        tools: { engine: "llamacpp", model: tools, ctxSize: SLOW_CONTEXT, memoryMiB: 2048 },
        recorder: recorderModel(STACK),
        eyes: {
          engine: "llamacpp",
          model: onHost("eyes", {}),
          mmproj: `file://${folder}/mmproj.gguf`,
          memoryMiB: 1024,
        },
        vectors: {
          engine: "llamacpp",
          model: onHost("vectors", {}),
          mode: "embedding",
          pooling: "mean",
          memoryMiB: 1024,
        },
      },
    });
    const up = await npmRun(project, "up", "--yes");
    expect(up.code === 0 ? up.stderr : `${up.stdout}\n${up.stderr}`).toBe("");
    exports = exportsIn(up.stdout);
    key = (await shell(`pulumi config get gpubox:masterKey --stack ${STACK}`)).stdout.trim();
    recorder = await startRecorder(project, (await containersOf(STACK)).gateway!);
  }, 20 * MINUTE);
  afterAll(() => {
    if (project) removeProject(project);
    rmSync(folder, { recursive: true });
  });

  const ways = Object.values(protocols).flatMap((protocol): [string, string, Protocol, boolean][] => [
    [protocol.path, "whole", protocol, false],
    [protocol.path, "streamed", protocol, true],
  ]);

  describe.each(ways)("%s, %s", (_path, _how, protocol, stream) => {
    const question: Question = {
      model: "tools",
      text: "How is the weather in Zürich?",
      maxTokens: 200,
      stream,
    };
    const answer = (more: Partial<Question>): Promise<Answer> =>
      ask(project.endpoint, key, protocol, { ...question, ...more });

    test("a question is answered", async () => {
      expect(await answer({})).toEqual({ text: ANSWER, calls: [], stop: protocol.stops.complete });
    });

    test("an offered tool is called, and its result is answered", async () => {
      const first = await answer({ tools: [weather] });
      expect(first).toEqual({
        text: "",
        calls: [{ id: expect.stringMatching(/./), name: weather.name, arguments: CITY }],
        stop: protocol.stops.call,
      });
      const called = { call: first.calls[0]!, result: '{"sky":"clear"}' };
      expect(await answer({ tools: [weather], called })).toEqual({
        text: ANSWER,
        calls: [],
        stop: protocol.stops.complete,
      });
    });

    test("an image, a tool and a limit reach the server as they were sent", async () => {
      // Two types: one alone might be a default on the way.
      const mediaType = stream ? "image/webp" : "image/png";
      const seen = await answer({
        model: "recorder",
        image: { mediaType, base64: PIXEL },
        tools: [weather],
        maxTokens: 77,
      });
      expect(seen).toEqual({ text: "seen", calls: [], stop: protocol.stops.complete });
      const recorded = await recorder.recorded();
      expect([recorded.model, recorded.max_tokens, recorded.stream ?? false]).toEqual([
        "recorder",
        77,
        stream,
      ]);
      expect(recorded.messages).toEqual([
        {
          role: "user",
          content: [
            { type: "text", text: question.text },
            {
              type: "image_url",
              image_url: expect.objectContaining({ url: `data:${mediaType};base64,${PIXEL}` }),
            },
          ],
        },
      ]);
      expect(recorded.tools).toEqual([
        {
          type: "function",
          function: { name: weather.name, description: weather.description, parameters: weather.schema },
        },
      ]);
    });
  });

  test.each(Object.values(protocols).map((protocol) => [protocol.path, protocol] as const))(
    "%s: a model that sees makes tokens of an image's patches, and refuses one that is none",
    async (_, protocol) => {
      const question: Question = { model: "eyes", text: "What is this?", maxTokens: 16, stream: false };
      const tokens = (more: Partial<Question>) =>
        promptTokens(project.endpoint, key, protocol, { ...question, ...more });
      const image = { mediaType: "image/png", base64: PIXEL };
      expect((await tokens({ image })) - (await tokens({}))).toBe(IMAGE_TOKENS);
      await expect(tokens({ image: { ...image, base64: "AAAA" } })).rejects.toThrow(/^(400|500) .*image/s);
    },
  );

  test("an embedding has a number for each dimension of the model", async () => {
    const response = await fetch(`${project.endpoint}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "vectors", input: ["one", "another"] }),
    });
    expect(response.status).toBe(200);
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([32, 32]);
    for (const { embedding } of data) {
      // Normalised, as clients take for granted.
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
    }
  });

  test(
    "a server that is killed while it loads comes back by itself, and the request that waited is answered",
    async () => {
      const { "backend-tools": backend, "valve-tools": valve } = await containersOf(STACK);
      const inspect = (field: string) => output("docker", ["inspect", "--format", `{{${field}}}`, backend!]);
      const [url] = /http:[^"]+/.exec(await inspect("json .Config.Healthcheck.Test"))!;
      const health = ["exec", backend!, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url];
      await output("docker", ["stop", "-t", "1", backend!]);
      // A request that came before the valve noticed would be sent to the backend as soon as that listens again, not held.
      const servers = 'source /etc/gpubox/control.sh; ask "@1 show stat model 4 -1"';
      while (
        !/^model,backend,.*,DOWN,/m.test(await output("docker", ["exec", valve!, "bash", "-c", servers]))
      )
        await sleep(100);
      const waiting = complete(project.endpoint, key, "tools");
      await sleep(500);
      await output("docker", ["start", backend!]);
      let status = "";
      while (status !== "503") {
        // 200 would mean that the load was missed, and the rest proves nothing.
        expect(status).not.toBe("200");
        status = (await run("docker", health)).stdout;
      }
      // All processes but the init, whose exit then ends the container as a crash does.
      await run("docker", ["exec", backend!, "sh", "-c", "kill -9 -1"]);
      expect(await waiting).toBe(ANSWER);
      expect(await inspect(".RestartCount")).toBe("1");
    },
    2 * MINUTE,
  );

  test(
    "a model's file that does not exist fails `up` with its path, and what served goes on",
    async () => {
      const before = await containersOf(STACK);
      const up = await upWith("lost", { model: `file://${folder}/lost.gguf`, memoryMiB: 512 });
      expect(up.code).not.toBe(0);
      expect(up.stdout).toContain("backend-lost ended");
      // The recipe's words, or llama.cpp's own.
      expect(up.stdout).toMatch(new RegExp(`(no such model file|failed to open).*${folder}/lost\\.gguf`));
      expect(changed(before, await containersOf(STACK))).not.toContain("gateway");
      expect(await complete(project.endpoint, key, "tools")).toBe(ANSWER);
    },
    5 * MINUTE,
  );

  test(
    "a server that is killed for lack of memory fails `up` in these words, and what served goes on",
    async () => {
      const before = await containersOf(STACK);
      const model = onHost("giant", { context: SLOW_CONTEXT });
      const up = await upWith("giant", { model, ctxSize: SLOW_CONTEXT, memoryMiB: 128 });
      expect(up.code).not.toBe(0);
      expect(up.stdout).toContain("backend-giant was killed for lack of memory (memoryMiB 128)");
      expect(changed(before, await containersOf(STACK))).not.toContain("gateway");
      expect(await complete(project.endpoint, key, "tools")).toBe(ANSWER);
    },
    5 * MINUTE,
  );
});
