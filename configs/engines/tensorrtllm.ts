import { stringify } from "yaml";
import { z } from "zod";
import type { Problem } from "../kit/problems";
import { configFile } from "../kit/text";
import { backendBase, modeOption } from "../schema/model";
import { bashHealth, readySeconds } from "./container";
import { checkDevices, deviceAccess } from "./devices";
import type { CheckContext, Engine, EngineContainer, EngineContext, Protocol } from "./engine";
import { checkParsers, parserOptions, parsersOf } from "./families";
import type { EngineFeatures } from "./features";
import { fileKeysOf, fileOption, placeFiles, withFiles } from "./files";
import { modelInfo } from "./info";
import { checkExtraArgs, commandOf, keysOf, option, ownedNames, planned, setting } from "./options";
import { tensorrtllmParsers } from "./parsers/tensorrtllm";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS } from "./python";
import { checkContext, checkTensorParallel } from "./shape";
import { checkRepository, isGguf, modelSource, weightsDirectory } from "./source";

const count = z.int().min(1).optional();
const off = z.boolean().default(false);

/** Every flag of trtllm-serve that gpubox writes, in the order of the command line. */
const options = {
  // The command names it before its flags.
  model: setting(
    modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
    "--revision",
  ),
  mode: setting(modeOption(["chat", "completion"])),
  servedModelName: planned("--served_model_name", ""),
  host: planned("--host", ""),
  port: planned("--port", ""),
  backend: planned("--backend", ""),
  tpSize: option(
    "--tp_size --tensor_parallel_size",
    count.describe("--tp_size. Default: the number of gpu.devices."),
  ),
  maxSeqLen: option(
    "--max_seq_len",
    count.describe("--max_seq_len: longest context in tokens. Default: the model's own."),
  ),
  maxBatchSize: option("--max_batch_size", count.describe("--max_batch_size: requests in one batch.")),
  maxNumTokens: option("--max_num_tokens", count.describe("--max_num_tokens: tokens in one batch.")),
  kvCacheFreeGpuMemoryFraction: option(
    "--kv_cache_free_gpu_memory_fraction --free_gpu_memory_fraction",
    z
      .number()
      .positive()
      .max(0.98)
      .optional()
      .describe(
        "--kv_cache_free_gpu_memory_fraction: share, for the KV cache, of what is free after the weights. Default: 0.9.",
      ),
  ),
  enableChunkedPrefill: option("--enable_chunked_prefill", off.describe("--enable_chunked_prefill.")),
  trustRemoteCode: option(
    "--trust_remote_code",
    off.describe("--trust_remote_code: runs Python of the model's repository."),
  ),
  ...parserOptions("--tool_parser", "--reasoning_parser"),
  chatTemplate: fileOption("--chat_template", "text", "--chat_template:"),
  tokenizer: fileOption("--tokenizer", "tokenizer", "--tokenizer. Default: the model's own."),
  config: {
    ...option(
      "--config --extra_llm_api_options",
      z
        .record(z.string(), z.unknown())
        .optional()
        .describe(
          "--config: TensorRT-LLM's own YAML: kv_cache_config, speculative_config, cuda_graph_config, … Models in it are sources: hf://owner/repo.",
        ),
    ),
    file: "settings" as const,
  },
};

const shape = {
  engine: z.literal("tensorrt-llm"),
  ...keysOf(options),
  ...backendBase(32_768),
  shmMiB: z.int().min(64).default(16_384).describe("Shared memory in MiB."),
};

const schema = z.strictObject(shape);
type TensorRtLlmModel = z.infer<typeof schema>;

/** Warm-up, autotuning and CUDA graphs. */
const COMPILE_SECONDS = 600;

const files = fileKeysOf(options);

/** Flags that `extraArgs` may not set. */
const OWNED = ownedNames(options);

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "trtllm-serve's own route." },
  { path: "/v1/completions", how: "native", why: "trtllm-serve's own route." },
  {
    path: "/v1/messages",
    how: "translated",
    why: "Its own route is new, missing for gpt-oss, and refuses tool_choice any and tool.",
  },
  { path: "/v1/responses", how: "native", why: "trtllm-serve's own route." },
  {
    path: "/v1/embeddings",
    how: "none",
    why: "It is another command of trtllm-serve; use text-embeddings-inference or vllm.",
  },
  { path: "/v1/rerank", how: "none", why: "trtllm-serve has no such route." },
];

const CONFIG = "trtllm.yaml";

function container(entry: TensorRtLlmModel, context: EngineContext): EngineContainer {
  const { model, ...placed } = placeFiles(files, entry, context);
  const weights = weightsDirectory(model.model, context);
  const parsers = parsersOf(model, tensorrtllmParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const ranks = model.tpSize ?? model.gpu?.devices.length ?? 1;
  const config = configOf(model, context);
  // An entry that sizes its cache itself keeps its own settings.
  const knobs = model.kvCacheFreeGpuMemoryFraction ? undefined : context.knobs?.args;
  return withFiles(placed, {
    ...devices,
    image: "tensorrt-llm",
    // The image starts no server by itself and is documented for root only.
    user: "0:0",
    readOnly: false,
    entrypoint: ["trtllm-serve"],
    command: [
      weights.path,
      ...commandOf(options, {
        ...model,
        servedModelName: context.name,
        host: "0.0.0.0",
        port: context.port,
        backend: "pytorch",
        tpSize: ranks > 1 ? ranks : undefined,
        maxBatchSize: knobs?.["--max_batch_size"] ?? model.maxBatchSize,
        maxNumTokens: knobs?.["--max_num_tokens"] ?? model.maxNumTokens,
        kvCacheFreeGpuMemoryFraction:
          knobs?.["--kv_cache_free_gpu_memory_fraction"] ?? model.kvCacheFreeGpuMemoryFraction,
        toolCallParser: parsers.tools,
        reasoningParser: parsers.reasoning,
        config: config ? `/etc/gpubox/${CONFIG}` : undefined,
      }),
      ...model.extraArgs,
    ],
    env: { ...PYTHON_ENV, ...env, ...model.env },
    tmpfs: PYTHON_TMPFS,
    shmMiB: model.shmMiB,
    ulimits: [
      { name: "memlock", soft: -1, hard: -1 },
      { name: "stack", soft: 67_108_864, hard: 67_108_864 },
    ],
    port: context.port,
    healthPath: "/health",
    metricsPath: "/prometheus/metrics",
    healthTest: bashHealth(context.port, "/health"),
    files: config ? { [CONFIG]: configFile(stringify(config, { version: "1.1" })) } : {},
    memoryMiB: model.memoryMiB,
    readySeconds: readySeconds(model, context, COMPILE_SECONDS),
    // It has no drain of its own: uvicorn ends what runs, then the generator goes.
    stopGraceSeconds: 60,
    mounts: [weights.mount, { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false }],
    weights: weights.fetch,
  });
}

/** The entry's own YAML, and what the planner caps where the entry says nothing of the cache. */
function configOf({ config = {}, kvCacheFreeGpuMemoryFraction }: TensorRtLlmModel, { knobs }: EngineContext) {
  const caps = kvCacheFreeGpuMemoryFraction ? {} : (knobs?.config ?? {});
  const capped = Object.entries(caps).map(([section, values]) => {
    const own = config[section];
    return [section, typeof own === "object" ? { ...values, ...own } : (own ?? values)];
  });
  const all: Record<string, unknown> = { ...config, ...Object.fromEntries(capped) };
  return Object.keys(all).length > 0 ? all : undefined;
}

function check(model: TensorRtLlmModel, path: string, { host, locked }: CheckContext): Problem[] {
  return [
    ...(isGguf(model.model, locked)
      ? [
          {
            path: `${path}.model`,
            what: "TensorRT-LLM does not read GGUF.",
            fix: "Use engine: llamacpp for it, or name the repository with the safetensors.",
          },
        ]
      : []),
    ...checkRepository(model.model, path),
    ...checkDevices("TensorRT-LLM", model.gpu, host, path, ["nvidia"]),
    ...checkContext(model.maxSeqLen, locked, `${path}.maxSeqLen`),
    ...checkTensorParallel(model.tpSize, { gpu: model.gpu }, locked, `${path}.tpSize`),
    ...checkParsers(model, tensorrtllmParsers, path),
    ...checkExtraArgs(model.extraArgs, OWNED, path),
  ];
}

const features: EngineFeatures = {
  example: "hf://Qwen/Qwen3-8B",
  known: "vendor",
  says: {
    vision: { cell: "by the model, chat only", known: "vendor" },
    lora: { cell: "lora_config in `config`", known: "vendor" },
    quantization: { cell: "by the checkpoint", known: "vendor" },
    kvCache: { cell: "kv_cache_config in `config`", known: "vendor" },
    prefixCache: { cell: "kv_cache_config in `config`", known: "vendor" },
    speculative: { cell: "speculative_config in `config`", known: "vendor" },
    apiKey: { cell: "no: it knows none", known: "vendor" },
    metrics: { cell: "`GET /prometheus/metrics`", known: "vendor" },
    countTokens: { cell: "LiteLLM's estimate", known: "vendor" },
    drain: { cell: "no: it ends as uvicorn does", known: "vendor" },
  },
};

export const tensorrtllm: Engine<TensorRtLlmModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  features,
  check,
  files,
  images: () => ["tensorrt-llm"],
  commandLine: { options, parser: {} },
  container,
  // No key: trtllm-serve knows none. Only the valve shares a network with it.
  route: (model, context, upstream) => {
    const parsers = parsersOf(model, tensorrtllmParsers);
    return {
      model: `hosted_vllm/${context.name}`,
      mode: model.mode,
      apiBase: `${upstream}/v1`,
      info: modelInfo(model, context, {
        tools: parsers.tools !== undefined,
        reasoning: parsers.reasoning !== undefined,
        context: model.maxSeqLen,
      }),
    };
  },
};
