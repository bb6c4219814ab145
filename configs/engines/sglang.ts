import { z } from "zod";
import type { Problem } from "../kit/problems";
import { configFile } from "../kit/text";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import {
  acceleratorOf,
  bashHealth,
  checkDevices,
  checkExtraArgs,
  declaredShare,
  deviceAccess,
  flags,
  flagsOf,
  readySeconds,
} from "./container";
import {
  type CheckContext,
  type Engine,
  type EngineContainer,
  type EngineContext,
  nativeEndpoints,
  type Protocol,
} from "./engine";
import { checkParsers, parserOptions, parsersOf } from "./families";
import type { EngineFeatures } from "./features";
import { modelInfo } from "./info";
import { checkLora, loraModules, loraOption, loraSources } from "./lora";
import { sglangParsers } from "./parsers/sglang";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS } from "./python";
import { checkContext, checkTensorParallel } from "./shape";
import { checkRepository, isGguf, modelOf, modelSource, weightsDirectory } from "./source";

const shape = {
  engine: z.literal("sglang"),
  model: modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
  mode: modeOption(["chat", "completion", "embedding"]),
  contextLength: z
    .int()
    .positive()
    .optional()
    .describe("--context-length in tokens. Default: the model's own."),
  tensorParallelSize: z
    .int()
    .positive()
    .optional()
    .describe("--tensor-parallel-size. Default: the number of gpu.devices."),
  memFractionStatic: z
    .number()
    .positive()
    .max(0.98)
    .optional()
    .describe(
      "--mem-fraction-static: share, for weights and KV cache, of the memory that is free when it starts. Default: gpu.memoryGiB by the device's, else SGLang's own.",
    ),
  maxTotalTokens: z
    .int()
    .positive()
    .optional()
    .describe("--max-total-tokens: tokens in the KV cache, a hard limit."),
  maxRunningRequests: z.int().positive().optional().describe("--max-running-requests."),
  chunkedPrefillSize: z.int().optional().describe("--chunked-prefill-size; -1 turns it off."),
  kvCacheDtype: z.string().optional().describe("--kv-cache-dtype: auto, fp8_e5m2, fp8_e4m3, …"),
  dtype: z.enum(["auto", "half", "float16", "bfloat16", "float", "float32"]).optional().describe("--dtype."),
  quantization: z.string().optional().describe("--quantization. Default: what the model's config says."),
  disableRadixCache: z
    .boolean()
    .default(false)
    .describe("--disable-radix-cache: no reuse of shared beginnings."),
  disableCudaGraph: z
    .boolean()
    .default(false)
    .describe(
      "--disable-decode-cuda-graph, --disable-prefill-cuda-graph: slower, starts sooner, takes less.",
    ),
  enableMultimodal: z.boolean().default(false).describe("--enable-multimodal: images, for models that see."),
  trustRemoteCode: z
    .boolean()
    .default(false)
    .describe("--trust-remote-code: runs Python of the model's repository."),
  ...parserOptions("--tool-call-parser", "--reasoning-parser"),
  loraPaths: loraOption,
  maxLorasPerBatch: z.int().positive().optional().describe("--max-loras-per-batch."),
  speculativeAlgorithm: z.string().optional().describe("--speculative-algorithm: EAGLE3, NEXTN, NGRAM, …"),
  stopGraceSeconds: z
    .int()
    .min(30)
    .max(900)
    .default(120)
    .describe("Seconds until it is killed: SGLang waits for its last request without a limit of its own."),
  shmMiB: z.int().min(64).default(16_384).describe("Shared memory in MiB."),
  ...backendBase(32_768),
};

const schema = z.strictObject(shape);
type SglangModel = z.infer<typeof schema>;

/** Compilation, CUDA graphs and the first generation. */
const COMPILE_SECONDS = 300;

const OWNED: Record<string, string> = {
  ...flagsOf(shape),
  "--model-path": "model",
  "--revision": "model",
  "--is-embedding": "mode",
  "--tp-size": "tensorParallelSize",
  "--disable-decode-cuda-graph": "disableCudaGraph",
  "--disable-prefill-cuda-graph": "disableCudaGraph",
  "--enable-lora": "loraPaths",
  "--config": "",
  "--host": "",
  "--port": "",
  "--served-model-name": "",
  "--api-key": "",
  "--admin-api-key": "",
  "--enable-metrics": "",
};

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "SGLang's own route." },
  { path: "/v1/completions", how: "native", why: "SGLang's own route." },
  {
    path: "/v1/messages",
    how: "native",
    why: "SGLang refuses x-api-key, which anthropic/ sends; hosted_vllm/ with supported_endpoints sends Bearer.",
  },
  { path: "/v1/responses", how: "native", why: "SGLang's own route; answers are not stored." },
  { path: "/v1/embeddings", how: "native", why: "With mode: embedding (--is-embedding)." },
  { path: "/v1/rerank", how: "none", why: "Its route wants flags that differ from model to model." },
];

function image(model: SglangModel, host: HostConfig) {
  if (acceleratorOf(model.gpu, host).kind === "amd") return "sglang-rocm";
  return host.arch === "arm64" ? "sglang-spark" : "sglang";
}

function container(model: SglangModel, context: EngineContext): EngineContainer {
  const weights = weightsDirectory(model.model, context);
  const lora = loraModules(model.loraPaths, context);
  const parsers = parsersOf(model, sglangParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const planned = declaredShare(model.gpu, context.host);
  const ranks = model.tensorParallelSize ?? model.gpu?.devices.length ?? 1;
  const role = image(model, context.host);
  return {
    ...devices,
    ...(role === "sglang-rocm"
      ? { ipc: "host" as const, capAdd: ["CAP_SYS_PTRACE"], securityOpts: ["seccomp=unconfined"] }
      : { shmMiB: model.shmMiB }),
    image: role,
    // The image has no entrypoint and is documented for root only.
    user: "0:0",
    readOnly: false,
    entrypoint: ["python3", "-m", "sglang.launch_server"],
    command: [
      ...flags({
        "--config": "/etc/gpubox/sglang.yaml",
        "--model-path": weights.path,
        "--served-model-name": context.name,
        "--host": "0.0.0.0",
        "--port": context.port,
        "--enable-metrics": true,
        "--is-embedding": model.mode === "embedding",
        "--context-length": model.contextLength,
        "--tensor-parallel-size": ranks > 1 ? ranks : undefined,
        "--mem-fraction-static":
          model.memFractionStatic ?? context.knobs?.args["--mem-fraction-static"] ?? planned,
        "--max-total-tokens": model.maxTotalTokens ?? context.knobs?.args["--max-total-tokens"],
        "--max-running-requests": model.maxRunningRequests,
        "--chunked-prefill-size": model.chunkedPrefillSize ?? context.knobs?.args["--chunked-prefill-size"],
        "--kv-cache-dtype": model.kvCacheDtype,
        "--dtype": model.dtype,
        "--quantization": model.quantization,
        "--disable-radix-cache": model.disableRadixCache,
        "--disable-decode-cuda-graph": model.disableCudaGraph,
        "--disable-prefill-cuda-graph": model.disableCudaGraph,
        "--enable-multimodal": model.enableMultimodal,
        "--trust-remote-code": model.trustRemoteCode,
        "--tool-call-parser": parsers.tools,
        "--reasoning-parser": parsers.reasoning,
        "--enable-lora": lora.modules.length > 0,
        "--lora-paths": lora.modules,
        "--max-loras-per-batch": model.maxLorasPerBatch,
        "--speculative-algorithm": model.speculativeAlgorithm,
      }),
      ...model.extraArgs,
    ],
    env: {
      ...PYTHON_ENV,
      // Else each health check generates a token and waits for its turn.
      SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: "0",
      ...env,
      ...model.env,
    },
    tmpfs: PYTHON_TMPFS,
    ulimits: [
      { name: "memlock", soft: -1, hard: -1 },
      { name: "stack", soft: 67_108_864, hard: 67_108_864 },
    ],
    port: context.port,
    healthPath: "/health",
    metricsPath: "/metrics",
    healthTest: bashHealth(context.port, "/health"),
    // It takes no key from the environment, and a command line shows in `docker inspect`.
    files: { "sglang.yaml": configFile('api-key: "', { secret: "saltKey", as: "derived" }, '"\n') },
    memoryMiB: model.memoryMiB,
    readySeconds: readySeconds(model, context, COMPILE_SECONDS),
    stopGraceSeconds: model.stopGraceSeconds,
    mounts: [
      weights.mount,
      ...lora.mounts,
      { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false },
    ],
    weights: [...weights.fetch, ...lora.fetch],
  };
}

function check(model: SglangModel, path: string, { host, locked }: CheckContext): Problem[] {
  return [
    ...(isGguf(model.model, locked)
      ? [
          {
            path: `${path}.model`,
            what: "gpubox serves GGUF by llama.cpp only.",
            fix: "Use engine: llamacpp for it, or name the repository with the safetensors.",
          },
        ]
      : []),
    ...checkRepository(model.model, path),
    ...checkDevices("SGLang", model.gpu, host, path, host.arch === "arm64" ? ["nvidia"] : ["nvidia", "amd"]),
    ...checkContext(model.contextLength, locked, `${path}.contextLength`),
    ...checkTensorParallel(model.tensorParallelSize, model.gpu, locked, `${path}.tensorParallelSize`),
    ...checkParsers(model, sglangParsers, path),
    ...checkLora(model.loraPaths, "loraPaths", path),
    ...checkExtraArgs(model.extraArgs, OWNED, path),
  ];
}

const features: EngineFeatures = {
  example: "hf://Qwen/Qwen3-8B",
  known: "contract",
  says: {
    metrics: { cell: "`GET /metrics`", known: "contract" },
    drain: { cell: "waits for the last request", known: "vendor" },
  },
};

export const sglang: Engine<SglangModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  features,
  check,
  sources: (model) => [modelOf(model), ...loraSources(model.loraPaths, "loraPaths")],
  adapters: ({ loraPaths }) => Object.keys(loraPaths),
  images: (model, host) => [image(model, host)],
  container,
  route: (model, context, upstream) => {
    const parsers = parsersOf(model, sglangParsers);
    return {
      model: `hosted_vllm/${context.name}`,
      mode: model.mode,
      apiBase: `${upstream}/v1`,
      apiKey: "backend",
      supportedEndpoints: model.mode === "chat" ? nativeEndpoints(protocols) : undefined,
      info: modelInfo(model, context, {
        vision: model.enableMultimodal,
        tools: parsers.tools !== undefined,
        reasoning: parsers.reasoning !== undefined,
        context: model.contextLength,
      }),
    };
  },
};
