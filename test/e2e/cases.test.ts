import { createHash } from "node:crypto";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LockedModel, ModelLock } from "../../configs/models/facts";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { allowance } from "../support/allowance";
import { containersOf, exportsIn, masterKeyOf } from "../support/box";
import { type EngineSaid, EngineStub } from "../support/engineStub";
import { locked } from "../support/engines";
import { GpulessEngine } from "../support/gpulessEngine";
import { type HubContainer, startHubContainer } from "../support/hubContainer";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { type Stub, startStub, stubModel, stubUrl } from "../support/stub";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("cases");
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const DRAFT = "hf://org/draft";
/** Of a box without a cache: the same question twice is asked twice. */
const QUESTION = "question";

/** A mixture of experts of 62.8 GB, of which the experts have 60.0. */
const experts: LockedModel = {
  ...locked(
    {
      ...{ architecture: "gpt-oss", contextLength: 131_072, layers: 36, hiddenSize: 2880, experts: 128 },
      attention: [{ layers: 36, kind: "full", kvHeads: 8, keyLength: 64, valueLength: 64 }],
    },
    62.8e9,
  ),
  ...{ format: "gguf", layerBytes: 61.7e9, inputBytes: 0.5e9, revision: "" },
  experts: ["ffn_down_exps", "ffn_gate_exps", "ffn_up_exps"].map((tensor) => ({
    ...{ tensor, first: 0, layers: 36, bytes: Math.round(60e9 / 36 / 3) },
  })),
};
/** Trained for 32768 tokens. */
const short = { ...locked({ contextLength: 32_768 }, 8e9), revision: "" };
const yarn = { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32_768 } };
const media = { image: { count: 4, width: 512 } };

/**
 * The accepted inputs of people's setups, by the numbers of their list. Others run elsewhere: the secrets file, the failed proof
 * and `down` of Compose in mainJobCompose.test.ts, a module of the user's in gateway.test.ts, access groups in access.test.ts.
 */
needs("docker", "pulumi")("what people run, started for real and asked through the edge", () => {
  const engine = new GpulessEngine();
  const stubs = new EngineStub(STACK);
  let project: TestProject;
  let folder: string;
  let hub: HubContainer;
  let stub: Stub;
  let key: string;

  async function post(path: string, body: unknown, signal?: AbortSignal) {
    const answer = await fetch(`${project.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }
  const messages = [{ role: "user", content: QUESTION }];
  const chat = (model: string, content = QUESTION, more: object = {}) =>
    post("/v1/chat/completions", { model, messages: [{ role: "user", content }], ...more });
  /** The text of an answer, or its status and body where there is none. */
  async function text(model: string, content?: string): Promise<string> {
    const answer = await chat(model, content);
    return answer.status === 200
      ? JSON.parse(answer.text).choices[0].message.content
      : JSON.stringify(answer);
  }
  /** What a stub of an engine says of itself, through edge, gateway and valve. */
  const engineOf = async (model: string): Promise<EngineSaid> => JSON.parse(await text(model));
  const valueAfter = (words: string[], flag: string) => words[words.indexOf(flag) + 1];
  const onHost = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content, { mode: 0o644 });
    return `file://${join(folder, name)}`;
  };

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const images = await buildRecipes(["gateway", "llamacpp"], {
      ...{ projectDir: packageDir, docker, log: () => {} },
    });
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    onHost("draft", "the weights of a draft");
    hub = await startHubContainer(images.gateway!, join(folder, "draft"));
    await Promise.all([engine.start(), stubs.build()]);
    const model = (server: string, more: object = {}) => stubModel(STACK, server, { ...more });
    const server = (name: string, more: object) => ({ engine: name, image: stubs.image, ...more });
    const on = (...devices: number[]) => ({ gpu: { devices } });
    const weights = onHost("m.gguf", "");
    project = makeProject(STACK, PORT, {
      host: {
        ...{ dataDir: `/srv/gpubox-${STACK}`, docker: engine.address, modelHub: hub.endpoint },
        gpus: Array.from({ length: 7 }, (_, id) => ({ id, memoryGiB: id < 2 ? 24 : 80 })),
      },
      gateway: { port: PORT, drainTimeout: 10 },
      ...{ cache: { mode: "none" }, database: { mode: "none" } },
      models: {
        // 1
        said: model("said", {
          params: {
            extra_body: { chat_template_kwargs: { enable_thinking: false } },
            ...{ temperature: 0.25, top_p: 0.9, top_k: 20, min_p: 0.05, max_tokens: 77 },
            extra_headers: { "x-team": "red" },
          },
        }),
        merged: model("merged", { params: { merge_reasoning_content_in_choices: true } }),
        priced: model("priced", {
          price: { inputPerMillion: 1000, outputPerMillion: 1000 },
          info: { cache_read_input_token_cost: 1e-4, access_groups: ["beta"], supports_vision: true },
        }),
        // 2
        experts: server("llamacpp", {
          ...{ model: onHost("experts.gguf", ""), ...on(0), ctxSize: 32_768 },
          extraArgs: ["--n-cpu-moe", "28"],
        }),
        pattern: server("llamacpp", {
          ...{ model: onHost("pattern.gguf", ""), ...on(1), ctxSize: 32_768 },
          extraArgs: ["-ot", "blk\\.([0-9]|1[0-9]|2[0-7])\\.ffn_.*_exps\\.=CPU"],
        }),
        // 3
        "long-llamacpp": server("llamacpp", {
          ...{ model: weights, ctxSize: 131_072, parallel: 1 },
          extraArgs: ["--rope-scaling", "yarn", "--rope-scale", "4"],
        }),
        "long-vllm": server("vllm", {
          ...{ model: `file://${folder}/long`, ...on(2), maxModelLen: 131_072 },
          extraArgs: ["--hf-overrides", JSON.stringify(yarn)],
        }),
        "long-sglang": server("sglang", {
          ...{ model: `file://${folder}/long`, ...on(3), contextLength: 131_072 },
          extraArgs: ["--json-model-override-args", JSON.stringify(yarn)],
          // An engine inside of a virtual machine may not give away all memory.
          ulimits: { memlock: 65_536 },
        }),
        // 7
        copies: server("vllm", {
          ...{ model: `file://${folder}/copies`, ...on(4, 5), extraArgs: ["--data-parallel-size", "2"] },
        }),
        // 8 and 12
        files: server("vllm", {
          ...{ model: `file://${folder}/files`, ...on(6), chatTemplate: onHost("x.jinja", "{{ 1 }}") },
          ...{ speculativeConfig: { method: "draft_model", model: DRAFT, num_speculative_tokens: 3 } },
          limitMmPerPrompt: media,
        }),
        // 9
        "openai/*": {
          ...{ engine: "cloud", model: "openai/*", apiBase: stubUrl(STACK, "opens"), apiKey: "none" },
          start: "manual",
        },
        "*": model("any", { model: "*" }),
        "m@q4": server("llamacpp", { model: weights }),
        "claude-x[1m]": model("variant", { aliases: ["a+b"] }),
        // 10
        "twin.a": model("twin-dot"),
        "twin-a": model("twin-dash"),
        // 11
        providers: {
          ...{ engine: "cloud", start: "manual" },
          instances: [
            { model: "groq/there", apiBase: stubUrl(STACK, "groq"), apiKey: "none" },
            { model: "deepseek/here", apiBase: stubUrl(STACK, "deepseek"), apiKey: "none" },
          ],
        },
        servers: {
          ...{ engine: "openai", start: "manual" },
          instances: [
            { baseUrl: stubUrl(STACK, "first"), model: "org/served" },
            { baseUrl: stubUrl(STACK, "second"), model: "served:4b", provider: "openai" },
          ],
        },
        // 14
        real: {
          ...{ engine: "llamacpp", model: onHost("real.gguf", cannedModel({ context: 1_000_000 })) },
          ...{ ctxSize: 1_000_000, parallel: 1, memoryMiB: 2048 },
        },
      },
    });
    for (const name of ["long", "copies", "files"])
      await output("install", ["-D", "-m", "644", "/dev/null", join(folder, name, "config.json")]);
    const draft = {
      files: [{ path: "model.safetensors", bytes: 22, sha256: sha256("the weights of a draft") }],
    };
    const lock: ModelLock = {
      [`file://${folder}/experts.gguf`]: experts,
      [`file://${folder}/pattern.gguf`]: experts,
      [weights]: { ...short, format: "gguf" },
      ...Object.fromEntries(["long", "copies", "files"].map((name) => [`file://${folder}/${name}`, short])),
      [DRAFT]: { ...locked({}, 20), ...draft, revision: COMMIT },
    };
    writeFileSync(join(project.dir, "models.lock.json"), JSON.stringify(lock));
    const up = await gpubox(project, "up", "--yes");
    expect(up.code === 0 ? up.stderr : `${up.stdout}\n${up.stderr}`).toBe("");
    key = await masterKeyOf(project, exportsIn(up.stdout));
    stub = await startStub(project, (await containersOf(STACK)).gateway!);
  }, 15 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    await Promise.all([engine.stop(), stubs.remove(), hub?.remove()]);
    rmSync(folder, { recursive: true });
  }, MINUTE);
  beforeEach(() => stub.forget());

  describe("1: what LiteLLM takes of a model", () => {
    test("arrives at its server as it was said, and nothing else does", async () => {
      expect(await text("said")).toBe("said by said");
      const { last, headers } = (await stub.seen()).said!;
      expect(last).toEqual({
        ...{ model: "said", messages, stream: false, chat_template_kwargs: { enable_thinking: false } },
        ...{ temperature: 0.25, top_p: 0.9, top_k: 20, min_p: 0.05, max_tokens: 77 },
      });
      expect(headers).toMatchObject({ "x-team": "red" });
    });

    test("merges a thought into the text where the entry says so, and only there", async () => {
      const streamed = async (model: string) => (await chat(model, "think", { stream: true })).text;
      expect(await streamed("merged")).toContain("<think>thought by merged");
      expect(await streamed("priced")).toContain('"reasoning_content":"thought by priced"');
    });

    test("prices tokens that a cache had, and is told to who asks about the model", async () => {
      const cost = async (content: string) =>
        Number((await chat("priced", content)).headers.get("x-litellm-response-cost"));
      expect(await cost(QUESTION)).toBeCloseTo(2, 6);
      expect(await cost("cached 400")).toBeCloseTo(0.6 + 0.04 + 1, 6);
      const answer = await fetch(`http://127.0.0.1:${PORT + 1}/model/info`, {
        headers: { authorization: `Bearer ${key}` },
      });
      const { data } = (await answer.json()) as { data: { model_name: string; model_info: object }[] };
      expect(data.find(({ model_name }) => model_name === "priced")?.model_info).toMatchObject({
        ...{ cache_read_input_token_cost: 1e-4, access_groups: ["beta"], supports_vision: true },
      });
    });
  });

  describe("2: a mixture of experts that its device cannot hold", () => {
    test.each([
      ["experts", "0", "--n-cpu-moe", "28"],
      ["pattern", "1", "-ot", "blk\\.([0-9]|1[0-9]|2[0-7])\\.ffn_.*_exps\\.=CPU"],
    ])("runs with its experts in the host's memory: %s", async (name, device, flag, value) => {
      const { argv } = await engineOf(name);
      expect([valueAfter(argv, flag), valueAfter(argv, "--ctx-size")]).toEqual([value, "32768"]);
      expect(engine.asked[`gpubox-${STACK}-backend-${name}`]).toEqual([device]);
      const format = "{{.HostConfig.Memory}}";
      const limit = await output("docker", [
        ...["inspect", "--format", format, `gpubox-${STACK}-backend-${name}`],
      ]);
      // 46.67 GB of experts, an eighth of memoryMiB for prompts, 2 GiB for the program.
      expect(Number(limit) / 2 ** 20).toBe(44_505 + 1024 + 2048);
    });
  });

  describe("3: four times the trained context", () => {
    test.each([
      ["long-llamacpp", { "--ctx-size": "131072", "--rope-scaling": "yarn", "--rope-scale": "4" }],
      ["long-vllm", { "--max-model-len": "131072", "--hf-overrides": JSON.stringify(yarn) }],
      ["long-sglang", { "--context-length": "131072", "--json-model-override-args": JSON.stringify(yarn) }],
    ])("reaches the engine with its scaling: %s", async (name, flags) => {
      const { argv } = await engineOf(name);
      expect(Object.fromEntries(Object.keys(flags).map((flag) => [flag, valueAfter(argv, flag)]))).toEqual(
        flags,
      );
    });
  });

  test("7: two copies on two devices are no tensor parallel", async () => {
    const { argv } = await engineOf("copies");
    expect(valueAfter(argv, "--data-parallel-size")).toBe("2");
    expect(argv).not.toContain("--tensor-parallel-size");
    expect(engine.asked[`gpubox-${STACK}-backend-copies`]).toEqual(["4", "5"]);
  });

  test("8 and 12: files that an entry names are in its container, and limits of media arrive whole", async () => {
    const { argv, missing } = await engineOf("files");
    expect(missing).toEqual([]);
    expect(valueAfter(argv, "--chat-template")).toBe(`${folder}/x.jinja`);
    expect(JSON.parse(valueAfter(argv, "--speculative-config")!)).toEqual({
      ...{ method: "draft_model", num_speculative_tokens: 3 },
      model: `/srv/gpubox-${STACK}/models/hf/org/draft/${COMMIT}`,
    });
    expect(JSON.parse(valueAfter(argv, "--limit-mm-per-prompt")!)).toEqual(media);
    expect(await hub.requests("org/draft")).toHaveLength(1);
  });

  test("9: wildcards pass on what the client wrote, and names have any character", async () => {
    expect(await text("openai/gpt-x.1")).toBe("said by opens");
    expect(await text("nobody/declared:this")).toBe("said by any");
    for (const name of ["claude-x[1m]", "a+b"]) expect(await text(name)).toBe("said by variant");
    const seen = await stub.seen();
    expect([seen.opens!.models, seen.any!.models, seen.variant!.models]).toEqual([
      ["gpt-x.1"],
      ["nobody/declared:this"],
      ["claude-x[1m]", "claude-x[1m]"],
    ]);
    const { argv } = await engineOf("m@q4");
    expect(valueAfter(argv, "--alias")).toBe("m@q4");
  });

  test("10: two names that differ by a dot lead to two servers", async () => {
    expect([await text("twin.a"), await text("twin-a")]).toEqual(["said by twin-dot", "said by twin-dash"]);
  });

  test("11: one name asks two providers, and two servers, each by the name that it knows", async () => {
    for (const name of ["providers", "servers"]) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => text(name, "sleep 1")));
      expect(answers.filter((one) => !one.startsWith("said by "))).toEqual([]);
    }
    const seen = await stub.seen();
    const models = Object.fromEntries(
      Object.entries(seen).map(([name, { models }]) => [name, [...new Set(models)]]),
    );
    expect(models).toEqual({
      ...{ groq: ["there"], deepseek: ["here"], first: ["org/served"], second: ["served:4b"] },
    });
  });

  describe("14: a client that hangs up before the first byte", () => {
    const asks: [string, object][] = [
      ["/v1/chat/completions", { messages: [{ role: "user", content: "wait" }] }],
      ["/v1/completions", { prompt: "wait" }],
      ["/v1/messages", { max_tokens: 9, messages: [{ role: "user", content: "wait" }] }],
    ];
    const ways = asks.flatMap(([path, body]) => [false, true].map((stream) => [path, stream, body] as const));

    /** Asks, hangs up as soon as the server works, and waits until it does not. @returns milliseconds from one to the other */
    async function hangUp(path: string, body: object, works: () => Promise<boolean>): Promise<number> {
      const client = new AbortController();
      const answer = post(path, body, client.signal);
      answer.catch(() => undefined);
      await until("its server works", works, { everyMs: 50 });
      const hungUp = Date.now();
      client.abort();
      await until("its server is free", async () => !(await works()), { everyMs: 20 });
      return Date.now() - hungUp;
    }

    test.each(ways)(
      "at %s (stream: %s) frees the server through edge and valve",
      async (path, stream, body) => {
        const works = async () => (await engineOf("long-vllm")).waiting === 1;
        const freed = await hangUp(path, { model: "long-vllm", stream, ...body }, works);
        expect(freed).toBeLessThan(allowance(1_000));
      },
    );

    test.each([false, true])("frees a real llama.cpp, stream: %s", async (stream) => {
      // Its log says it: a question for its metrics would keep it from noticing (docs/gateway.md).
      const works = async () => {
        const { stdout, stderr } = await run("docker", ["logs", `gpubox-${STACK}-backend-real`]);
        const count = (what: string) => (stdout + stderr).split(what).length;
        return count("launch_slot_: ") > count("release: ");
      };
      // A token a byte: it reads for many seconds before it says anything.
      const content = "x".repeat(200_000);
      const long = { model: "real", stream, messages: [{ role: "user", content }] };
      // It looks for its client once a second.
      expect(await hangUp("/v1/chat/completions", long, works)).toBeLessThan(1_000 + allowance(1_000));
    });
  });
});

const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");
