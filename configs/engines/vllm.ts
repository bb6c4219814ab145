import { z } from "zod";
import type { Problem } from "../kit/problems";
import { envFile } from "../kit/text";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import {
  acceleratorOf,
  bashHealth,
  checkDevices,
  checkEnv,
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
} from "./engine";
import { checkParsers, parserOptions, parsersOf } from "./families";
import { modelInfo } from "./info";
import { checkLora, loraModules, loraOption, loraSources } from "./lora";
import { vllmParsers } from "./parsers/vllm";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS, WITH_ENV, WITH_ENV_COMMAND } from "./python";
import { checkContext, checkTensorParallel } from "./shape";
import { checkRepository, isGguf, modelOf, modelSource, weightsDirectory } from "./source";
import { features, vllmProtocols } from "./vllmFeatures";

const shape = {
  engine: z.literal("vllm"),
  model: modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
  mode: modeOption(["chat", "completion", "embedding", "rerank", "audio_transcription"]),
  maxModelLen: z
    .int()
    .positive()
    .optional()
    .describe("--max-model-len: longest context in tokens. Default: the model's own."),
  tensorParallelSize: z
    .int()
    .positive()
    .optional()
    .describe("--tensor-parallel-size. Default: the number of gpu.devices."),
  pipelineParallelSize: z.int().positive().default(1).describe("--pipeline-parallel-size."),
  enableExpertParallel: z
    .boolean()
    .default(false)
    .describe("--enable-expert-parallel, for mixtures of experts."),
  gpuMemoryUtilization: z
    .number()
    .positive()
    .max(0.98)
    .optional()
    .describe(
      "--gpu-memory-utilization: share of each device's whole memory. Default: gpu.memoryGiB by the device's, else vLLM's own 0.92.",
    ),
  kvCacheMemoryBytes: z
    .int()
    .positive()
    .optional()
    .describe(
      "--kv-cache-memory-bytes for each device, in place of the above. Without a GPU: a quarter of memoryMiB.",
    ),
  kvCacheDtype: z.string().optional().describe("--kv-cache-dtype: auto, fp8, …"),
  dtype: z.enum(["auto", "half", "float16", "bfloat16", "float", "float32"]).optional().describe("--dtype."),
  quantization: z.string().optional().describe("--quantization. Default: what the model's config says."),
  maxNumSeqs: z.int().positive().optional().describe("--max-num-seqs: requests in one batch."),
  maxNumBatchedTokens: z.int().positive().optional().describe("--max-num-batched-tokens."),
  enablePrefixCaching: z
    .boolean()
    .default(true)
    .describe("--enable-prefix-caching: answers of shared beginnings are reused."),
  enforceEager: z
    .boolean()
    .default(false)
    .describe("--enforce-eager: no CUDA graphs; slower, starts sooner, takes less."),
  trustRemoteCode: z
    .boolean()
    .default(false)
    .describe("--trust-remote-code: runs Python of the model's repository."),
  ...parserOptions("--tool-call-parser", "--reasoning-parser"),
  chatTemplate: z
    .string()
    .startsWith("/")
    .optional()
    .describe("--chat-template: a path inside the image or the model's directory."),
  limitMmPerPrompt: z
    .record(z.string(), z.int().min(0))
    .optional()
    .describe("--limit-mm-per-prompt: images, videos, audios a request, for example { image: 4, video: 0 }."),
  loraModules: loraOption,
  maxLoras: z.int().positive().optional().describe("--max-loras: adapters in one batch."),
  maxLoraRank: z.int().positive().optional().describe("--max-lora-rank."),
  speculativeConfig: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("--speculative-config: { method: ngram, num_speculative_tokens: 4, … }."),
  shutdownTimeout: z
    .int()
    .min(0)
    .max(840)
    .default(60)
    .describe("--shutdown-timeout: seconds that running requests get when it is stopped."),
  shmMiB: z
    .int()
    .min(64)
    .optional()
    .describe("Shared memory in MiB. Default: 4096, 16384 with several devices."),
  ...backendBase(32_768),
};

const schema = z.strictObject(shape);
type VllmModel = z.infer<typeof schema>;

/** uid and gid of `vllm` in the CUDA image; the other images run as root. */
const VLLM = "2000:0";

/** Compilation and CUDA graphs; 39 s were seen on a DGX Spark, several minutes on older hosts. */
const COMPILE_SECONDS = 300;

/** vLLM's own end after its drain: 15 s of teardown on ROCm, and some air. */
const STOP_MARGIN_SECONDS = 30;

const OWNED: Record<string, string> = {
  ...flagsOf(shape),
  "--revision": "model",
  "--runner": "mode",
  "-tp": "tensorParallelSize",
  "-pp": "pipelineParallelSize",
  "--device-memory-utilization": "gpuMemoryUtilization",
  "-q": "quantization",
  "--no-enable-prefix-caching": "enablePrefixCaching",
  "--enable-auto-tool-choice": "tools",
  "--enable-lora": "loraModules",
  "--host": "",
  "--port": "",
  "--served-model-name": "",
  "--api-key": "",
};

function image(model: VllmModel, host: HostConfig) {
  const { kind } = acceleratorOf(model.gpu, host);
  return kind === "cpu" ? "vllm-cpu" : kind === "amd" ? "vllm-rocm" : "vllm";
}

/** What the containers of the three images need beside their devices, as vLLM's documentation has it. */
function confinement(role: ReturnType<typeof image>, model: VllmModel): Partial<EngineContainer> {
  const devices = model.gpu?.devices.length ?? 1;
  const shmMiB = model.shmMiB ?? (devices > 1 ? 16_384 : 4096);
  switch (role) {
    case "vllm":
      return { user: VLLM, shmMiB };
    case "vllm-rocm":
      return { user: "0:0", ipc: "host", capAdd: ["CAP_SYS_PTRACE"], securityOpts: ["seccomp=unconfined"] };
    case "vllm-cpu":
      return { user: "0:0", shmMiB, capAdd: ["CAP_SYS_NICE"], securityOpts: ["seccomp=unconfined"] };
  }
}

function memoryFlags(
  model: VllmModel,
  { host, knobs }: EngineContext,
): Record<string, string | number | undefined> {
  if (knobs && !model.kvCacheMemoryBytes && !model.gpuMemoryUtilization) return knobs.args;
  if (model.kvCacheMemoryBytes) return { "--kv-cache-memory-bytes": model.kvCacheMemoryBytes };
  if (!model.gpu) return { "--kv-cache-memory-bytes": Math.floor(model.memoryMiB / 4) * 1024 ** 2 };
  return { "--gpu-memory-utilization": model.gpuMemoryUtilization ?? declaredShare(model.gpu, host) };
}

function container(model: VllmModel, context: EngineContext): EngineContainer {
  const role = image(model, context.host);
  const weights = weightsDirectory(model.model, context);
  const lora = loraModules(model.loraModules, context);
  const parsers = parsersOf(model, vllmParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const ready = readySeconds(model, context, COMPILE_SECONDS);
  const memory = memoryFlags(model, context);
  return {
    ...devices,
    ...confinement(role, model),
    image: role,
    entrypoint: WITH_ENV_COMMAND,
    command: [
      ...["vllm", "serve", weights.path],
      ...flags({
        "--served-model-name": context.name,
        "--host": "0.0.0.0",
        "--port": context.port,
        "--runner": ["embedding", "rerank"].includes(model.mode) ? "pooling" : undefined,
        "--max-model-len": model.maxModelLen,
        "--tensor-parallel-size": tensorParallel(model),
        "--pipeline-parallel-size": model.pipelineParallelSize > 1 ? model.pipelineParallelSize : undefined,
        "--enable-expert-parallel": model.enableExpertParallel,
        ...memory,
        "--kv-cache-dtype": model.kvCacheDtype,
        "--dtype": model.dtype,
        "--quantization": model.quantization,
        "--max-num-seqs": model.maxNumSeqs ?? memory["--max-num-seqs"],
        "--max-num-batched-tokens": model.maxNumBatchedTokens ?? memory["--max-num-batched-tokens"],
        "--no-enable-prefix-caching": !model.enablePrefixCaching,
        "--enforce-eager": model.enforceEager,
        "--trust-remote-code": model.trustRemoteCode,
        "--enable-auto-tool-choice": parsers.tools !== undefined,
        "--tool-call-parser": parsers.tools,
        "--reasoning-parser": parsers.reasoning,
        "--chat-template": model.chatTemplate,
        "--limit-mm-per-prompt": model.limitMmPerPrompt && JSON.stringify(model.limitMmPerPrompt),
        "--enable-lora": lora.modules.length > 0,
        "--lora-modules": lora.modules,
        "--max-loras": model.maxLoras,
        "--max-lora-rank": model.maxLoraRank,
        "--speculative-config": model.speculativeConfig && JSON.stringify(model.speculativeConfig),
        "--shutdown-timeout": model.shutdownTimeout,
      }),
      ...model.extraArgs,
    ],
    env: {
      ...PYTHON_ENV,
      VLLM_CACHE_ROOT: `${CACHE}/vllm`,
      VLLM_CONFIG_ROOT: `${CACHE}/config`,
      VLLM_NO_USAGE_STATS: "1",
      // Its own limit of 600 s would end the load of a big model.
      VLLM_ENGINE_READY_TIMEOUT_S: String(ready),
      ...env,
      ...model.env,
    },
    tmpfs: PYTHON_TMPFS,
    port: context.port,
    healthPath: "/health",
    metricsPath: "/metrics",
    healthTest: bashHealth(context.port, "/health"),
    files: { "backend.env": envFile({ VLLM_API_KEY: [{ secret: "saltKey", as: "shell-derived" }] }) },
    assets: WITH_ENV,
    memoryMiB: model.memoryMiB,
    readySeconds: ready,
    stopGraceSeconds: model.shutdownTimeout + STOP_MARGIN_SECONDS,
    mounts: [
      weights.mount,
      ...lora.mounts,
      { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false },
    ],
    weights: [...weights.fetch, ...lora.fetch],
  };
}

function tensorParallel({ tensorParallelSize, pipelineParallelSize, gpu }: VllmModel): number | undefined {
  const size = tensorParallelSize ?? Math.floor((gpu?.devices.length ?? 1) / pipelineParallelSize);
  return size > 1 ? size : undefined;
}

function check(model: VllmModel, path: string, { host, locked }: CheckContext): Problem[] {
  return [
    ...(isGguf(model.model, locked)
      ? [
          {
            path: `${path}.model`,
            what: "vLLM does not read GGUF any more.",
            fix: "Use engine: llamacpp for it, or name the repository with the safetensors.",
          },
        ]
      : []),
    ...checkRepository(model.model, path),
    ...checkDevices(
      "vLLM",
      model.gpu,
      host,
      path,
      host.arch === "arm64" ? ["cpu", "nvidia"] : ["cpu", "nvidia", "amd"],
    ),
    ...checkContext(model.maxModelLen, locked, `${path}.maxModelLen`),
    ...checkTensorParallel(
      model.tensorParallelSize,
      model.gpu,
      locked,
      `${path}.tensorParallelSize`,
      model.pipelineParallelSize,
    ),
    ...checkParsers(model, vllmParsers, path),
    ...checkLora(model.loraModules, "loraModules", path),
    ...checkExtraArgs(model.extraArgs, OWNED, path),
    ...checkEnv(model.env, ["VLLM_API_KEY", "VLLM_ENGINE_READY_TIMEOUT_S"], path),
  ];
}

export const vllm: Engine<VllmModel> = {
  schema,
  keys: Object.keys(shape),
  protocols: vllmProtocols,
  features,
  check,
  sources: (model) => [modelOf(model), ...loraSources(model.loraModules, "loraModules")],
  adapters: ({ loraModules }) => Object.keys(loraModules),
  images: (model, host) => [image(model, host)],
  container,
  route: (model, context, upstream) => {
    const parsers = parsersOf(model, vllmParsers);
    return {
      model: `hosted_vllm/${context.name}`,
      mode: model.mode,
      apiBase: `${upstream}/v1`,
      apiKey: "backend",
      supportedEndpoints: model.mode === "chat" ? nativeEndpoints(vllmProtocols) : undefined,
      info: modelInfo(model, context, {
        tools: parsers.tools !== undefined,
        reasoning: parsers.reasoning !== undefined,
        context: model.maxModelLen,
      }),
    };
  },
};
