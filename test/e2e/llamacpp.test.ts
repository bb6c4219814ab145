import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { type CannedModelOptions, cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { complete, containersOf, exportsIn, masterKeyOf } from "../support/box";
import {
  ANSWER,
  asker,
  CITY,
  testEyesAndVectors,
  testResponses,
  testTools,
  ways,
  weather,
} from "../support/engineClaims";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { IMAGE_TOKENS, PIXEL, tinyProjector } from "../support/projector";
import { type Recorder, recorderModel, startRecorder } from "../support/recorder";
import { pause, until } from "../support/wait";
import { testModelSpeed } from "./bench/story";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("eng");
// Filling this much takes a second or two: long enough to be met while it loads.
const SLOW_CONTEXT = 4_000_000;

/** All that the template of `shaped` makes of any conversation: a token a byte. */
const PROMPT = "gpubox";

/** All that its grammar lets it say. */
const SHORT = "It is sunny in the town";

needs("docker", "pulumi")("models of llama.cpp", () => {
  let project: TestProject;
  let folder: string;
  let key: string;
  let recorder: Recorder;

  /** Writes a model to the host; its source for the stack's config. */
  function onHost(name: string, options: CannedModelOptions): string {
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, cannedModel(options), { mode: 0o644 });
    return `file://${path}`;
  }

  beforeAll(async () => {
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    const tools = onHost("tools", {
      answer: ANSWER,
      tool: weather.name,
      arguments: CITY,
      context: SLOW_CONTEXT,
    });
    writeFileSync(join(folder, "chat.jinja"), `{{- '${PROMPT}' -}}`, { mode: 0o644 });
    writeFileSync(join(folder, "mmproj.gguf"), tinyProjector(), { mode: 0o644 });
    project = makeProject(STACK, PORT, {
      database: { mode: "none" },
      models: {
        tools: { engine: "llamacpp", model: tools, ctxSize: SLOW_CONTEXT, memoryMiB: 2048 },
        recorder: recorderModel(STACK),
        shaped: {
          engine: "llamacpp",
          model: onHost("shaped", { answer: ANSWER }),
          chatTemplateFile: `file://${folder}/chat.jinja`,
          grammarFile: "./short.gbnf",
          modelDraft: onHost("draft", { answer: ANSWER }),
          memoryMiB: 1024,
        },
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
    writeFileSync(join(project.dir, "short.gbnf"), `root ::= "${SHORT}"\n`);
    const up = await gpubox(project, "up", "--yes");
    expect(up.code === 0 ? up.stderr : `${up.stdout}\n${up.stderr}`).toBe("");
    key = await masterKeyOf(project, exportsIn(up.stdout));
    recorder = await startRecorder(project, (await containersOf(STACK)).gateway!);
  }, 20 * MINUTE);
  afterAll(() => {
    if (project) removeProject(project);
    rmSync(folder, { recursive: true });
  });

  const reached = () => ({ endpoint: project.endpoint, key });

  testResponses(reached);

  describe.each(ways)("%s, %s", (_path, _how, protocol, stream) => {
    testTools(reached, protocol, stream);

    test("an image, a tool and a limit reach the server as they were sent", async () => {
      // Two types: one alone might be a default on the way.
      const mediaType = stream ? "image/webp" : "image/png";
      const seen = await asker(
        reached,
        protocol,
        stream,
      )({
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
            { type: "text", text: "How is the weather in Zürich?" },
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

  testEyesAndVectors(reached, (tokens) => expect(tokens).toBe(IMAGE_TOKENS));

  test("a template of the host, a grammar beside the stack file and a draft model take effect", async () => {
    for (const text of ["How is the weather?", "How is the weather in Zürich for the next three days?"]) {
      const answer = await fetch(`${project.endpoint}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "shaped", messages: [{ role: "user", content: text }] }),
      });
      expect(await answer.json()).toMatchObject({
        choices: [{ message: { content: SHORT } }],
        usage: { prompt_tokens: PROMPT.length },
      });
    }
    const { "backend-shaped": backend } = await containersOf(STACK);
    const { stdout, stderr } = await run("docker", ["logs", backend!]);
    expect(`${stdout}${stderr}`).toMatch(/draft acceptance = \S+ \( +[1-9]\d* accepted/);
  });

  test(
    "a server that is killed while it loads comes back by itself, and the waiting request is answered",
    async () => {
      const { "backend-tools": backend, "valve-tools": valve } = await containersOf(STACK);
      const inspect = (field: string) => output("docker", ["inspect", "--format", `{{${field}}}`, backend!]);
      const [, url] = /GPUBOX_PROBE=[^"]*?(http:[^"' \\]+)/.exec(await inspect("json .Config.Env"))!;
      const health = ["exec", backend!, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url!];
      await output("docker", ["stop", "-t", "1", backend!]);
      // A request that came before the valve noticed would be sent to the backend as soon as that listens again, not held.
      const servers = 'source /etc/gpubox/control.sh; ask "@1 show stat model 4 -1"';
      await until("the valve has noticed", async () =>
        /^model,backend,.*,DOWN,/m.test(await output("docker", ["exec", valve!, "bash", "-c", servers])),
      );
      const waiting = complete(project.endpoint, key, "tools");
      await pause(500, "the request is at the valve");
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

  testModelSpeed(() => ({ project, key }));
});
