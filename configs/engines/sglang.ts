import { z } from "zod";
import type { Problem } from "../kit/problems";
import { configFile } from "../kit/text";
import type { LockedModel } from "../models/facts";
import { overriddenContext } from "../models/rope";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import {
  acceleratorOf,
  bashHealth,
  checkDevices,
  checkExtraArgs,
  commandOf,
  declaredShare,
  deviceAccess,
  keysOf,
  option,
  ownedNames,
  planned,
  readySeconds,
  withHostPart,
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
import { fileKeysOf, fileOption, fileOrWordOption, placeFiles, withFiles } from "./files";
import known from "./flags/sglang.json";
import { modelInfo } from "./info";
import { checkLora, loraModules, loraOption, loraSources } from "./lora";
import { sglangParsers } from "./parsers/sglang";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS } from "./python";
import { checkTwice, isTrue, withArgs } from "./said";
import { checkContext, checkTensorParallel, isLonger, tensorRanks } from "./shape";
import { checkRepository, isGguf, modelOf, modelSource, weightsDirectory } from "./source";
import type { Parser } from "./spelling";

const count = z.int().min(1).optional();
const off = z.boolean().default(false);

/** Every flag of SGLang's server that gpubox writes, in the order of the command line. */
const options = {
  config: planned("--config", ""),
  model: option(
    "--model-path --model --revision",
    modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
  ),
  servedModelName: planned("--served-model-name", ""),
  host: planned("--host", ""),
  port: planned("--port", ""),
  enableMetrics: planned("--enable-metrics", ""),
  mode: option("--is-embedding", modeOption(["chat", "completion", "embedding"])),
  contextLength: option(
    "--context-length",
    count.describe("--context-length in tokens. Default: the model's own."),
  ),
  tensorParallelSize: option(
    "--tensor-parallel-size --tp-size",
    count.describe("--tensor-parallel-size. Default: the number of gpu.devices."),
  ),
  memFractionStatic: option(
    "--mem-fraction-static",
    z
      .number()
      .positive()
      .max(0.98)
      .optional()
      .describe(
        "--mem-fraction-static: share, for weights and KV cache, of the memory that is free when it starts. Default: gpu.memoryGiB by the device's, else SGLang's own.",
      ),
  ),
  maxTotalTokens: option(
    "--max-total-tokens",
    count.describe("--max-total-tokens: tokens in the KV cache, a hard limit."),
  ),
  maxRunningRequests: option("--max-running-requests", count.describe("--max-running-requests.")),
  chunkedPrefillSize: option(
    "--chunked-prefill-size",
    z.int().optional().describe("--chunked-prefill-size; -1 turns it off."),
  ),
  kvCacheDtype: option(
    "--kv-cache-dtype",
    z.string().optional().describe("--kv-cache-dtype: auto, fp8_e5m2, fp8_e4m3, …"),
  ),
  dtype: option(
    "--dtype",
    z.enum(["auto", "half", "float16", "bfloat16", "float", "float32"]).optional().describe("--dtype."),
  ),
  quantization: option(
    "--quantization",
    z.string().optional().describe("--quantization. Default: what the model's config says."),
  ),
  disableRadixCache: option(
    "--disable-radix-cache",
    off.describe("--disable-radix-cache: no reuse of shared beginnings."),
  ),
  disableCudaGraph: option(
    "--disable-decode-cuda-graph --disable-cuda-graph",
    off.describe(
      "--disable-decode-cuda-graph, --disable-prefill-cuda-graph: slower, starts sooner, takes less.",
    ),
  ),
  disablePrefillCudaGraph: planned("--disable-prefill-cuda-graph", "disableCudaGraph"),
  enableMultimodal: option(
    "--enable-multimodal",
    off.describe("--enable-multimodal: images, for models that see."),
  ),
  trustRemoteCode: option(
    "--trust-remote-code",
    off.describe("--trust-remote-code: runs Python of the model's repository."),
  ),
  ...parserOptions("--tool-call-parser", "--reasoning-parser"),
  enableLora: planned("--enable-lora", "loraPaths"),
  loraPaths: option("--lora-paths", loraOption),
  maxLorasPerBatch: option("--max-loras-per-batch", count.describe("--max-loras-per-batch.")),
  chatTemplate: fileOrWordOption(
    "--chat-template",
    "--chat-template: a template that SGLang knows by name, or",
  ),
  tokenizerPath: fileOption("--tokenizer-path", "tokenizer", "--tokenizer-path. Default: the model's own."),
  speculativeDraftModelPath: fileOption(
    "--speculative-draft-model-path --speculative-draft-model --speculative-draft-model-revision",
    "weights",
    "--speculative-draft-model-path: the model that drafts, for speculativeAlgorithm:",
  ),
  speculativeAlgorithm: option(
    "--speculative-algorithm",
    z.string().optional().describe("--speculative-algorithm: EAGLE3, NEXTN, NGRAM, …"),
  ),
  pipelineParallelSize: option(
    "--pipeline-parallel-size --pp-size",
    count.describe("--pipeline-parallel-size. Default: 1."),
    null,
  ),
  dataParallelSize: option(
    "--data-parallel-size --dp-size",
    count.describe("--data-parallel-size: copies of the model that share the requests. Default: 1."),
    null,
  ),
  cpuOffloadGb: option(
    "--cpu-offload-gb",
    z
      .int()
      .min(0)
      .optional()
      .describe("--cpu-offload-gb: GiB of each device's weights in the host's memory."),
    null,
  ),
  jsonModelOverrideArgs: option(
    "--json-model-override-args",
    z
      .record(z.string(), z.unknown())
      .optional()
      .describe("--json-model-override-args: keys of the model's config.json, for example rope_scaling."),
    null,
  ),
};

const shape = {
  engine: z.literal("sglang"),
  ...keysOf(options),
  stopGraceSeconds: z
    .int()
    .min(30)
    .max(900)
    .default(120)
    .describe("Seconds until it is killed: SGLang waits for its last request without a limit of its own."),
  ...backendBase(32_768),
  shmMiB: z.int().min(64).default(16_384).describe("Shared memory in MiB."),
};

const schema = z.strictObject(shape);
type SglangModel = z.infer<typeof schema>;

/** Compilation, CUDA graphs and the first generation. */
const COMPILE_SECONDS = 300;

const files = fileKeysOf(options);

/** Flags that `extraArgs` may not set. */
const OWNED = ownedNames(options, ["--api-key", "--admin-api-key"]);

/** Python's argparse as it is (`prepare_server_args` of sglang/srt/server_args.py). */
const parser: Parser = { flags: known.flags, beginnings: true, joined: true };

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

const said = (model: SglangModel) => withArgs(model, options, parser);

const ALLOW_LONG = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN";

function longestContext(model: SglangModel, { shape }: LockedModel): number {
  const longest = overriddenContext(model.jsonModelOverrideArgs, shape.contextLength);
  return isTrue(model.env[ALLOW_LONG]) ? Math.max(longest, model.contextLength ?? 0) : longest;
}

function image(model: SglangModel, host: HostConfig) {
  if (acceleratorOf(model.gpu, host).kind === "amd") return "sglang-rocm";
  return host.arch === "arm64" ? "sglang-spark" : "sglang";
}

function container(entry: SglangModel, context: EngineContext): EngineContainer {
  const { model, ...placed } = placeFiles(files, entry, context);
  const weights = weightsDirectory(model.model, context);
  const lora = loraModules(model.loraPaths, context);
  const parsers = parsersOf(model, sglangParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const knobs = context.knobs?.args;
  const ranks = model.tensorParallelSize ?? tensorRanks(model.gpu, said(model));
  const role = image(model, context.host);
  return withFiles(placed, {
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
      ...commandOf(options, {
        ...model,
        config: "/etc/gpubox/sglang.yaml",
        model: weights.path,
        servedModelName: context.name,
        host: "0.0.0.0",
        port: context.port,
        enableMetrics: true,
        mode: model.mode === "embedding",
        tensorParallelSize: ranks > 1 ? ranks : undefined,
        memFractionStatic:
          model.memFractionStatic ??
          knobs?.["--mem-fraction-static"] ??
          declaredShare(model.gpu, context.host),
        maxTotalTokens: model.maxTotalTokens ?? knobs?.["--max-total-tokens"],
        chunkedPrefillSize: model.chunkedPrefillSize ?? knobs?.["--chunked-prefill-size"],
        disablePrefillCudaGraph: model.disableCudaGraph,
        jsonModelOverrideArgs: model.jsonModelOverrideArgs && JSON.stringify(model.jsonModelOverrideArgs),
        toolCallParser: parsers.tools,
        reasoningParser: parsers.reasoning,
        enableLora: lora.modules.length > 0,
        loraPaths: lora.modules,
      }),
      ...model.extraArgs,
    ],
    env: {
      ...PYTHON_ENV,
      // Else each health check generates a token and waits for its turn.
      SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: "0",
      ...(isLonger(model.contextLength, context.locked) ? { [ALLOW_LONG]: "1" } : {}),
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
    memoryMiB: withHostPart(model.memoryMiB, context.knobs),
    readySeconds: readySeconds(model, context, COMPILE_SECONDS),
    stopGraceSeconds: model.stopGraceSeconds,
    mounts: [
      weights.mount,
      ...lora.mounts,
      { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false },
    ],
    weights: [...weights.fetch, ...lora.fetch],
  });
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
    ...checkContext(model.contextLength, locked, `${path}.contextLength`, {
      longest: locked && longestContext(said(model), locked),
      scale:
        "A longer one needs its positions scaled: jsonModelOverrideArgs: { rope_scaling: { rope_type: yarn, factor, … } }.",
    }),
    ...checkTensorParallel(
      model.tensorParallelSize,
      model.gpu,
      locked,
      `${path}.tensorParallelSize`,
      said(model),
    ),
    ...checkParsers(model, sglangParsers, path),
    ...checkLora(model.loraPaths, "loraPaths", path),
    ...checkExtraArgs(model.extraArgs, OWNED, path, parser),
    ...checkTwice(model, options, parser, path),
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
  said,
  longestContext,
  check,
  release: known.version,
  files,
  sources: (model) => [modelOf(model), ...loraSources(model.loraPaths, "loraPaths")],
  adapters: ({ loraPaths }) => Object.keys(loraPaths),
  images: (model, host) => [image(model, host)],
  commandLine: { options, parser },
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
