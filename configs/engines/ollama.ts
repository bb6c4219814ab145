import { z } from "zod";
import type { StepPlan } from "../kit/containerPlan";
import type { Problem } from "../kit/problems";
import { STEP_LIMIT } from "../kit/processes";
import { shellQuote } from "../kit/text";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import { readySeconds } from "./container";
import { acceleratorOf, checkDevices, deviceAccess } from "./devices";
import type { CheckContext, Engine, EngineContainer, EngineContext, Protocol } from "./engine";
import type { EngineFeatures } from "./features";
import { modelInfo } from "./info";
import { checkEnv, environmentOf, keysOf, option, ownedNames, planned, setting } from "./options";
import { CACHE } from "./python";
import { checkContext } from "./shape";
import { stored } from "./source";

/** Every variable of Ollama that gpubox writes, in the order of the environment. */
const options = {
  model: setting(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][\w.-]*(\/[\w.-]+)*:[\w.-]+$/,
        "Write Ollama's name and tag, for example qwen3-coder:30b, or hf.co/owner/repo:Q4_K_M.",
      )
      .describe("Ollama's name and tag: qwen3-coder:30b, or hf.co/owner/repo:Q4_K_M."),
  ),
  mode: setting(modeOption(["chat", "completion", "embedding"])),
  // It makes a key pair at the first start, also where it never goes anywhere.
  home: planned("HOME"),
  host: planned("OLLAMA_HOST", ""),
  models: planned("OLLAMA_MODELS", ""),
  noPrune: planned("OLLAMA_NOPRUNE"),
  // Else names that end in -cloud leave the box.
  noCloud: planned("OLLAMA_NO_CLOUD"),
  keepAlive: planned("OLLAMA_KEEP_ALIVE", ""),
  maxLoadedModels: planned("OLLAMA_MAX_LOADED_MODELS", ""),
  loadTimeout: planned("OLLAMA_LOAD_TIMEOUT", "readySeconds"),
  contextLength: option(
    "OLLAMA_CONTEXT_LENGTH",
    z
      .int()
      .min(1)
      .default(8192)
      .describe(
        "OLLAMA_CONTEXT_LENGTH in tokens. Ollama's own choice depends on the memory and goes up to 262144.",
      ),
  ),
  numParallel: option(
    "OLLAMA_NUM_PARALLEL",
    z
      .int()
      .min(1)
      .default(1)
      .describe("OLLAMA_NUM_PARALLEL: requests at a time, each with a context of its own."),
  ),
  flashAttention: option(
    "OLLAMA_FLASH_ATTENTION",
    z.boolean().optional().describe("OLLAMA_FLASH_ATTENTION. Default: Ollama's choice."),
  ),
  kvCacheType: option(
    "OLLAMA_KV_CACHE_TYPE",
    z
      .enum(["f16", "q8_0", "q4_0"])
      .optional()
      .describe("OLLAMA_KV_CACHE_TYPE; other than f16 wants flash attention."),
  ),
  schedSpread: option(
    "OLLAMA_SCHED_SPREAD",
    z.boolean().default(false).describe("OLLAMA_SCHED_SPREAD: over all devices, also where one would do."),
    null,
  ),
  gpuOverhead: option(
    "OLLAMA_GPU_OVERHEAD",
    z.int().min(0).optional().describe("OLLAMA_GPU_OVERHEAD: bytes of each device that are left alone."),
    null,
  ),
};

const shape = { engine: z.literal("ollama"), ...keysOf(options), ...backendBase(16_384) };

const schema = z.strictObject(shape);
type OllamaModel = z.infer<typeof schema>;

const NOBODY = 65534;

const protocols: Protocol[] = [
  {
    path: "/v1/chat/completions",
    how: "native",
    why: "Ollama's OpenAI route keeps tools and image parts as they are.",
  },
  { path: "/v1/completions", how: "native", why: "Ollama's OpenAI route." },
  {
    path: "/v1/messages",
    how: "translated",
    why: "Ollama's own route has no tool_choice, no count_tokens and no images by URL.",
  },
  { path: "/v1/responses", how: "native", why: "Ollama serves it without storing answers." },
  { path: "/v1/embeddings", how: "native", why: "With mode: embedding." },
  { path: "/v1/rerank", how: "none", why: "Ollama has no such route." },
];

/**
 * Pulls the model by a server that lives only for that; Ollama resumes and shares layers by itself. One at a time in a store: two servers
 * would write one layer's parts, and one that starts throws away what it knows no model of, the parts of the other one among it.
 */
const PULL = `exec 9>"$OLLAMA_MODELS/.lock"
flock 9
ollama serve >/dev/null 2>&1 9>&- &
until ollama list >/dev/null 2>&1; do sleep 0.5; done
ollama show "$1" >/dev/null 2>&1 || ollama pull "$1"
code=$?
chown -R ${NOBODY}:${NOBODY} /models
exit $code`;

/** Every Ollama of a box shares one store, read by name and tag. */
function storeOf(model: OllamaModel, context: EngineContext): { path: string; pull: StepPlan } {
  const path = `${context.modelsDir}/ollama`;
  const env = "-e HOME=/tmp -e OLLAMA_MODELS=/models -e OLLAMA_NO_CLOUD=1 -e NVIDIA_VISIBLE_DEVICES=void";
  const script = `docker run --rm --user 0 ${STEP_LIMIT} --entrypoint bash ${env} -v ${path}:/models ${context.image} -c ${[PULL, "gpubox", model.model].map(shellQuote).join(" ")}`;
  const inside = {
    image: context.image,
    command: ["bash", "-c", PULL, "gpubox", model.model],
    env: { HOME: "/tmp", OLLAMA_MODELS: path, OLLAMA_NO_CLOUD: "1" },
    directory: path,
    loads: true,
  };
  return { path, pull: { ...stored(`${path}/${model.model}`, script), inside } };
}

function image(model: OllamaModel, host: HostConfig) {
  return acceleratorOf(model.gpu, host).kind === "amd" ? "ollama-rocm" : "ollama";
}

function container(model: OllamaModel, context: EngineContext): EngineContainer {
  const { path, pull } = storeOf(model, context);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const ready = readySeconds(model, context, 0);
  return {
    ...devices,
    image: image(model, context.host),
    user: `${NOBODY}:${NOBODY}`,
    entrypoint: ["bash", "/etc/gpubox/entrypoint.sh"],
    command: [model.model, ...(model.mode === "embedding" ? ["load"] : [])],
    env: {
      ...environmentOf(options, {
        ...model,
        home: CACHE,
        host: `0.0.0.0:${context.port}`,
        models: "/models",
        noPrune: true,
        noCloud: true,
        keepAlive: -1,
        maxLoadedModels: 1,
        loadTimeout: `${ready}s`,
        flashAttention: model.flashAttention === undefined ? undefined : Number(model.flashAttention),
        gpuOverhead: model.gpuOverhead || undefined,
      }),
      ...env,
      ...model.env,
    },
    port: context.port,
    // It answers before it has a model; this lists what is loaded.
    healthPath: "/api/ps",
    healthText: `"${model.model}"`,
    healthTest: ["CMD", "bash", "-c", `ollama ps | grep -qF '${model.model}'`],
    assets: { "entrypoint.sh": "ollama/entrypoint.sh" },
    memoryMiB: model.memoryMiB,
    readySeconds: ready,
    // SIGTERM closes the server and ends its runners at once.
    stopGraceSeconds: 15,
    mounts: [
      { kind: "directory", source: path, target: "/models", readOnly: false },
      { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false },
    ],
    weights: [pull],
  };
}

function check(model: OllamaModel, path: string, { host, locked }: CheckContext): Problem[] {
  return [
    ...checkDevices(
      "Ollama",
      model.gpu,
      host,
      path,
      host.arch === "arm64" ? ["cpu", "nvidia"] : ["cpu", "nvidia", "amd"],
    ),
    ...checkContext(model.contextLength, locked, `${path}.contextLength`),
    ...(model.extraArgs.length > 0
      ? [
          {
            path: `${path}.extraArgs`,
            what: "`ollama serve` takes no flags.",
            fix: "Use `env` for its variables.",
          },
        ]
      : []),
    ...checkEnv(model.env, Object.keys(ownedNames(options)), path),
    ...(model.kvCacheType && model.kvCacheType !== "f16" && model.flashAttention === false
      ? [
          {
            path: `${path}.kvCacheType`,
            what: `A KV cache in ${model.kvCacheType} wants flash attention.`,
            fix: "Remove flashAttention: false, or write kvCacheType: f16.",
          },
        ]
      : []),
  ];
}

const features: EngineFeatures = {
  example: "qwen3:8b",
  known: "contract",
  ran: {
    "test/e2e/ollama.test.ts": [
      ...(["chat", "streaming", "completions", "messages", "responses", "embeddings"] as const),
      ...(["tools", "vision", "cpu"] as const),
    ],
  },
  says: {
    countTokens: { cell: "LiteLLM's estimate", known: "vendor" },
    tools: { cell: "by the model's template", known: "vendor" },
    reasoning: { cell: "by the model's template", known: "vendor" },
    vision: { cell: "by the model", known: "vendor" },
    lora: { cell: "in the model: ADAPTER of its Modelfile", known: "vendor" },
    quantization: { cell: "by the tag", known: "vendor" },
    tensorParallel: { cell: "no: layers over devices; `schedSpread`", known: "vendor" },
    prefixCache: { cell: "its runner's own", known: "vendor" },
    speculative: { cell: "by the model", known: "vendor" },
    apiKey: { cell: "no: it knows none", known: "vendor" },
    metrics: { cell: "no: it has no such route", known: "vendor" },
    drain: { cell: "no: requests are cut", known: "vendor" },
  },
};

export const ollama: Engine<OllamaModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  features,
  check,
  images: (model, host) => [image(model, host)],
  commandLine: { options, parser: {} },
  container,
  // No key: Ollama knows none. Only the valve shares a network with it.
  route: (model, context, upstream) => ({
    model: `hosted_vllm/${model.model}`,
    mode: model.mode,
    apiBase: `${upstream}/v1`,
    info: modelInfo(model, context, { context: model.contextLength }),
  }),
};
