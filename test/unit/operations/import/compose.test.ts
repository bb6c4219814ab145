import fc from "fast-check";
import { stringify } from "yaml";
import known from "../../../../configs/engines/flags/vllm.json";
import type { Option } from "../../../../configs/engines/options";
import { options } from "../../../../configs/engines/vllmOptions";
import { imported, lost } from "../../../support/imported";
import { runs } from "../../../support/runs";

/** Flags that the plan decides. */
const PLANNED = Object.values<Option>(options).flatMap(({ names, type, owner }) =>
  type === undefined && owner !== null ? names : [],
);

const service = (text: string) => ({ "compose.yaml": `services:\n  m:\n${text.replace(/^/gm, "    ")}` });
const entryOf = async (text: string, more: Record<string, string> = {}) =>
  Object.values((await imported({ ...service(text), ...more })).values.models!)[0];

test("a vLLM service is an entry: flags by vLLM's own table, what has no key in extraArgs", async () => {
  const made = await imported(
    service(`
image: vllm/vllm-openai:v0.11.0
command: >
  --model org/m --served-model-name first second --max_model_len 32k --gpu-memory-utilization=0.9 --uvicorn-log-level debug
  --enable-auto-tool-choice --tool-call-parser hermes --no-enable-prefix-caching --swap-space 8
  --limit-mm-per-prompt image=4 -tp 2 --port 9000 --api-key \${KEY:-PLANTED-key-0123456789}
environment: [VLLM_LOGGING_LEVEL=DEBUG, HF_TOKEN=PLANTED-hub-0123456789]
deploy: { resources: { reservations: { devices: [{ driver: nvidia, device_ids: ["1", "2"], capabilities: [gpu] }] } } }
shm_size: 8gb
restart: always
`),
  );
  expect(made.values.models).toEqual({
    first: {
      ...{ engine: "vllm", model: "hf://org/m", aliases: ["second"], maxModelLen: 32_000 },
      ...{
        tensorParallelSize: 2,
        gpuMemoryUtilization: 0.9,
        toolCallParser: "hermes",
        enablePrefixCaching: false,
      },
      ...{ limitMmPerPrompt: { image: 4 }, extraArgs: ["--uvicorn-log-level", "debug"], shmMiB: 8192 },
      ...{ env: { VLLM_LOGGING_LEVEL: "DEBUG" }, gpu: { devices: [1, 2] } },
    },
  });
  expect(made.values.host).toEqual({ gpus: [1, 2].map((id) => ({ id, memoryGiB: 24 })) });
  expect(Object.keys(lost(made))).toEqual([
    "services.m.command.--swap-space",
    "services.m.command.--api-key",
    "services.m.restart",
  ]);
  expect(made.secrets).toEqual({ hfToken: "PLANTED-hub-0123456789" });
  expect(made.text).not.toContain("PLANTED");
});

test.each([
  [
    'image: ghcr.io/ggml-org/llama.cpp:server\ncommand: ["-m", "/models/q.gguf", "-c", "8192", "-np", "2", "-fa"]\nenvironment: { LLAMA_ARG_CACHE_TYPE_K: q8_0 }\nvolumes: ["/srv/w:/models:ro", "/srv/grammars:/grammars:ro"]',
    {
      ...{ engine: "llamacpp", model: "file:///srv/w/q.gguf", ctxSize: 8192, parallel: 2 },
      ...{ flashAttn: "on", cacheTypeK: "q8_0" },
      mounts: [{ source: "/srv/grammars", target: "/grammars" }],
    },
  ],
  [
    'image: mine\nentrypoint: ["bash", "-c"]\ncommand: ["pip list && exec vllm serve org/m --dtype half"]',
    { engine: "vllm", model: "hf://org/m", dtype: "half" },
  ],
  [
    "image: ghcr.io/huggingface/text-embeddings-inference:cpu-1.8\ncommand: --model-id org/e --max-client-batch-size 8",
    { engine: "text-embeddings-inference", model: "hf://org/e", maxClientBatchSize: 8 },
  ],
  [
    "image: lmsysorg/sglang\ncommand: python3 -m sglang.launch_server --model-path org/m --context-length 4096 --tp 2\ngpus: all",
    {
      ...{ engine: "sglang", model: "hf://org/m", contextLength: 4096, tensorParallelSize: 2 },
      gpu: { devices: [0, 1] },
    },
  ],
  [
    "image: ghcr.io/ggml-org/llama.cpp:server\nprofiles: [big]\ncommand: -hf org/Q-GGUF:Q8_0 --embeddings",
    {
      ...{ engine: "llamacpp", model: "hf://org/Q-GGUF/Q-Q8_0.gguf", mode: "embedding", start: "manual" },
    },
  ],
])("%s", async (text, entry) => {
  expect(await entryOf(text)).toEqual(entry);
});

test("a LiteLLM beside its servers gives them its names, and its environment the keys", async () => {
  const made = await imported({
    "compose.yaml": `
services:
  vllm: { image: vllm/vllm-openai, container_name: old-vllm, command: --model org/m --served-model-name inner }
  litellm:
    image: ghcr.io/berriai/litellm:main
    command: ["--config", "/app/config.yaml"]
    volumes: ["./l.yaml:/app/config.yaml"]
    ports: ["4444:4000"]
    environment: { LITELLM_MASTER_KEY: sk-PLANTED-master-0123456789, GROQ_API_KEY: PLANTED-groq }
  web: { image: nginx }
`,
    "l.yaml": `
model_list:
- { model_name: best, litellm_params: { model: openai/inner, api_base: "http://vllm:8000/v1", api_key: x, rpm: 9 } }
- { model_name: far, litellm_params: { model: groq/a, api_key: os.environ/GROQ_API_KEY } }
`,
  });
  expect(made.values.models).toEqual({
    inner: { engine: "vllm", model: "hf://org/m", aliases: ["best"], rpm: 9 },
    far: { engine: "cloud", model: "groq/a", apiKey: { secret: "groqApiKey" } },
  });
  expect(made.values.gateway).toEqual({ port: 4544 });
  expect(made.secrets).toEqual({ groqApiKey: "PLANTED-groq", masterKey: "sk-PLANTED-master-0123456789" });
  expect(lost(made)["services.web"]).toBe("this is no part of a model server that gpubox knows");
  expect(made.steps.join("\n")).toMatch(
    /docker stop old-vllm && docker compose -f \S+\/compose\.yaml stop litellm && npx gpubox up --stack test/,
  );
});

test("what LiteLLM says of a server that the box runs comes over, and so do names and fallbacks that lead to one of its names", async () => {
  const made = await imported({
    "compose.yaml": `
services:
  vllm: { image: vllm/vllm-openai, command: --model org/m --served-model-name inner }
  litellm: { image: litellm, command: --config /l.yaml, volumes: ["./l.yaml:/l.yaml"] }
`,
    "l.yaml": `
model_list:
- model_name: best
  litellm_params: { model: openai/inner, api_base: "http://vllm:8000/v1", temperature: 0.5, extra_body: { a: 1 } }
  model_info: { supports_vision: true }
- { model_name: other, litellm_params: { model: openai/inner, api_base: "http://vllm:8000/v1", temperature: 0.9 } }
- { model_name: far, litellm_params: { model: groq/a, api_key: os.environ/GROQ_API_KEY } }
router_settings: { model_group_alias: { gpt-4o: best }, fallbacks: [{ far: [best] }] }
`,
  });
  expect(made.values.models!.inner).toEqual({
    ...{ engine: "vllm", model: "hf://org/m", aliases: ["best", "other", "gpt-4o"] },
    ...{ params: { temperature: 0.5, extra_body: { a: 1 } }, info: { supports_vision: true } },
  });
  expect(made.values.gateway).toMatchObject({ routing: { fallbacks: { far: ["best"] } } });
  expect(made.routes.map(({ name }) => name)).toEqual(["inner", "far", "best", "other", "gpt-4o"]);
  expect(lost(made)).toEqual({
    "model_list[1].litellm_params.temperature":
      'one entry answers to both names, by what "best" says; for another, write engine: openai over this server\'s `expose`',
  });
  expect(made.text.replace(/\n\s*# /g, " ")).toContain('Requests to "other" get these too now.');
});

test("the move stops no server whose model did not come over, and what a file calls a container is no command", async () => {
  const made = await imported({
    "my compose.yaml": `
services:
  good: { image: vllm/vllm-openai, command: --model org/m }
  bad: { image: vllm/vllm-openai, command: --model /nowhere/m }
  worse: { image: ghcr.io/ggml-org/llama.cpp:server, command: -m /root/m.gguf, volumes: ["/root:/root"] }
  ollama: { image: ollama/ollama, volumes: ["./none:/root/.ollama"] }
  odd: { image: vllm/vllm-openai, container_name: "x; rm -rf /", command: --model org/n }
`,
  });
  expect(made.steps.join("\n")).toMatch(
    /\n {5}docker stop 'x; rm -rf \/' && docker compose -f '\S+\/my compose\.yaml' stop good && npx gpubox up/,
  );
  expect(made.text).not.toContain("gpubox:models.worse");
});

test("weights in a hub's cache that a service mounts are named by their commit, and linked", async () => {
  const files = {
    "hf/hub/models--org--m/refs/main": "abc123",
    "hf/hub/models--org--m/snapshots/abc123/config.json": "{}",
  };
  const made = await imported({
    ...service('image: vllm/vllm-openai\ncommand: --model org/m\nvolumes: ["./hf:/root/.cache/huggingface"]'),
    ...files,
  });
  expect(made.values.models!.m).toEqual({ engine: "vllm", model: "hf://org/m@abc123" });
  expect(made.steps[0]).toMatch(
    /cp -alL \S+\/hf\/hub\/models--org--m\/snapshots\/abc123\/\. \/srv\/gpubox\/models\/hf\/org\/m\/abc123\//,
  );
});

test.each([
  ["vllm/vllm-openai", "./hf:/root/.cache/huggingface", "serve", "", "vllm"],
  ["ghcr.io/ggml-org/llama.cpp:server", "./hf/hub:/models:ro", "-m", "/q.gguf", "llamacpp"],
])(
  "weights that a command names by their place in a hub's cache are those of the repository: %s",
  async (image, volume, flag, file, engine) => {
    const inside = volume.split(":")[1]!.replace("huggingface", "huggingface/hub");
    const path = `${inside}/models--org--m/snapshots/abc123${file}`;
    const made = await imported({
      ...service(`image: ${image}\ncommand: ${flag} ${path}\nvolumes: ["${volume}"]`),
      "hf/hub/models--org--m/refs/main": "abc123",
      "hf/hub/models--org--m/snapshots/abc123/q.gguf": "",
    });
    expect(made.values.models!.m).toEqual({ engine, model: `hf://org/m@abc123${file}` });
    expect(made.steps[0]).toContain(
      "/hf/hub/models--org--m/snapshots/abc123/. /srv/gpubox/models/hf/org/m/abc123/",
    );
    expect(lost(made)).toEqual({});
  },
);

test.each([
  ["include: [other.yaml]\nservices: {}", "compose.yaml:1:1: it includes other files."],
  ["services:\n  a:\n    extends: { service: b }\n  b: {}", "compose.yaml:3:5: the service extends another."],
  [
    `services:\n  a:\n    image: \${IMAGE_OF_A:?say it}`,
    "compose.yaml:3:5: the variable IMAGE_OF_A is not set.",
  ],
])("%j is refused with its place", async (text, message) => {
  await expect(imported({ "compose.yaml": text })).rejects.toThrow(message);
});

test("of a flag that stands twice the last one counts, as for the engine, and the other is told", async () => {
  const made = await imported(
    service("image: vllm/vllm-openai\ncommand: --model org/m -tp 2 --dtype half --tensor-parallel-size 1"),
  );
  expect(made.values.models!.m).toMatchObject({ tensorParallelSize: 1, dtype: "half" });
  expect(lost(made)).toEqual({ "services.m.command.-tp": "a later flag says the same: the last one counts" });
});

test("every flag of vLLM is in the entry or told, whatever its spelling", async () => {
  const names = known.flags
    .flatMap(({ names }) => names)
    .filter((name) => !/model|revision|api-key|config$/.test(name));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.constantFrom(...names), { maxLength: 12 }), async (flags) => {
      const words = flags.flatMap((flag, index) => [flag, String(700_001 + index)]);
      const command = ["--model", "org/m", ...words];
      const made = await imported({
        "compose.yaml": stringify({ services: { m: { image: "vllm/vllm-openai", command } } }),
      });
      const held = made.text.replace(/^ *#.*$/gm, "");
      const told = Object.keys(lost(made)).join("\n");
      const forgotten = flags.filter(
        (flag, index) => !held.includes(String(700_001 + index)) && !told.includes(`.command.${flag}`),
      );
      expect(forgotten.filter((flag) => !PLANNED.includes(flag))).toEqual([]);
    }),
    { ...runs(15), examples: [[["-tp", "--tensor-parallel-size"]]] },
  );
});
