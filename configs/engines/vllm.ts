import type { Problem } from "../kit/problems";
import { envFile } from "../kit/text";
import type { LockedModel } from "../models/facts";
import { overriddenContext } from "../models/rope";
import type { HostConfig } from "../schema/host";
import { bashHealth, readySeconds, withHostPart } from "./container";
import { acceleratorOf, checkDevices, declaredShare, deviceAccess } from "./devices";
import {
  type CheckContext,
  type Engine,
  type EngineContainer,
  type EngineContext,
  nativeEndpoints,
} from "./engine";
import { checkParsers, parsersOf } from "./families";
import { placeFiles, withFiles } from "./files";
import known from "./flags/vllm.json";
import { modelInfo } from "./info";
import { checkLora, loraModules, loraSources } from "./lora";
import { checkNodeFlags, devicesOfAll } from "./nodes";
import { checkEnv, checkExtraArgs, commandOf } from "./options";
import { vllmParsers } from "./parsers/vllm";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS, WITH_ENV, WITH_ENV_COMMAND } from "./python";
import { checkTwice, isTrue, withArgs } from "./said";
import { checkContext, checkTensorParallel, isLonger, tensorRanks } from "./shape";
import { checkRepository, isGguf, modelOf, readOnly, weightsDirectory } from "./source";
import { features, vllmProtocols } from "./vllmFeatures";
import {
  checkRelease,
  defaultsBeside,
  files,
  hostEnv,
  NODE_FLAGS,
  OWNED,
  OWNED_ENV,
  options,
  parser,
  rankFlags,
  schema,
  type VllmModel,
} from "./vllmOptions";
import { checkSleep, SLEEP_ASSETS, SLEEP_MIDDLEWARE, sleepCommands, sleepEnv } from "./vllmSleep";
import { watchOf } from "./watch";

/** uid and gid of `vllm` in the CUDA image; the other images run as root. */
const VLLM = "2000:0";

/** Compilation and CUDA graphs; 39 s were seen on a DGX Spark, several minutes on older hosts. */
const COMPILE_SECONDS = 300;

/** vLLM's own end after its drain: 15 s of teardown on ROCm, and some air. */
const STOP_MARGIN_SECONDS = 30;

function image(model: VllmModel, host: HostConfig) {
  const { kind } = acceleratorOf(model.gpu, host);
  return ({ cpu: "vllm-cpu", amd: "vllm-rocm", intel: "vllm-xpu", nvidia: "vllm" } as const)[kind];
}

/** What the containers of the images need beside their devices, as vLLM's documentation has it. */
function confinement(role: ReturnType<typeof image>, model: VllmModel): Partial<EngineContainer> {
  const devices = model.gpu?.devices.length ?? 1;
  const shmMiB = model.shmMiB ?? (devices > 1 ? 16_384 : 4096);
  switch (role) {
    case "vllm":
      return { user: VLLM, shmMiB };
    case "vllm-rocm":
      return { user: "0:0", ipc: "host", capAdd: ["CAP_SYS_PTRACE"], securityOpts: ["seccomp=unconfined"] };
    case "vllm-xpu":
      return { user: "0:0", ipc: "host" };
    case "vllm-cpu":
      return { user: "0:0", shmMiB, capAdd: ["CAP_SYS_NICE"], securityOpts: ["seccomp=unconfined"] };
  }
}

/** The rows that bound vLLM's memory. `args`: the planner's. */
function budgetOf(model: VllmModel, host: HostConfig, args: Record<string, string> | undefined) {
  const { gpu, gpuMemoryUtilization, kvCacheMemoryBytes, memoryMiB } = model;
  if (args)
    return {
      gpuMemoryUtilization: args["--gpu-memory-utilization"],
      kvCacheMemoryBytes: args["--kv-cache-memory-bytes"],
    };
  const bytes = kvCacheMemoryBytes || (gpu ? undefined : Math.floor(memoryMiB / 4) * 1024 ** 2);
  return {
    gpuMemoryUtilization: bytes ? undefined : (gpuMemoryUtilization ?? declaredShare(gpu, host)),
    kvCacheMemoryBytes: bytes,
  };
}

/** The rows about memory and batches: the planner's, unless the entry sizes its cache itself. */
function memoryOf(model: VllmModel, { host, knobs }: EngineContext) {
  const { gpuMemoryUtilization, kvCacheMemoryBytes, maxNumSeqs, maxNumBatchedTokens } = model;
  const args = kvCacheMemoryBytes || gpuMemoryUtilization ? undefined : knobs?.args;
  const seqs = args?.["--max-num-seqs"];
  const tokens = args?.["--max-num-batched-tokens"];
  return {
    ...budgetOf(model, host, args),
    plannedNumSeqs: seqs && (maxNumSeqs ?? seqs),
    plannedBatchedTokens: tokens && (maxNumBatchedTokens ?? tokens),
    maxNumSeqs: seqs ? undefined : maxNumSeqs,
    maxNumBatchedTokens: tokens ? undefined : maxNumBatchedTokens,
  };
}

/** What its core says of each step, also of a part of a long prompt. A client that hangs up changes none of them by itself. */
const SIGNS = [
  "vllm:generation_tokens_total",
  "vllm:prompt_tokens_total",
  "vllm:kv_cache_usage_perc",
  "vllm:num_requests_running",
  "vllm:num_requests_waiting",
];

function container(entry: VllmModel, context: EngineContext): EngineContainer {
  const { model, ...placed } = placeFiles(files, entry, context);
  const role = image(model, context.host);
  const weights = weightsDirectory(model.model, context);
  const lora = loraModules(model.loraModules, context);
  const parsers = parsersOf(model, vllmParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const ready = readySeconds(model, context, COMPILE_SECONDS);
  return withFiles(placed, {
    ...devices,
    ...confinement(role, model),
    image: role,
    entrypoint: WITH_ENV_COMMAND,
    command: [
      ...["vllm", "serve", weights.path],
      ...commandOf(options, {
        ...model,
        ...memoryOf(model, context),
        servedModelName: context.name,
        host: "0.0.0.0",
        port: context.port,
        mode: ["embedding", "rerank"].includes(model.mode) ? "pooling" : undefined,
        tensorParallelSize: tensorParallel(model),
        pipelineParallelSize: model.pipelineParallelSize > 1 ? model.pipelineParallelSize : undefined,
        enablePrefixCaching: !model.enablePrefixCaching,
        autoToolChoice: parsers.tools !== undefined,
        toolCallParser: parsers.tools,
        reasoningParser: parsers.reasoning,
        hfOverrides: model.hfOverrides && JSON.stringify(model.hfOverrides),
        limitMmPerPrompt: model.limitMmPerPrompt && JSON.stringify(model.limitMmPerPrompt),
        enableLora: lora.modules.length > 0,
        loraModules: lora.modules,
        speculativeConfig: model.speculativeConfig && JSON.stringify(model.speculativeConfig),
        ...defaultsBeside(model.extraArgs),
        sleepMode: model.sleep !== undefined,
        sleepOrders: model.sleep && SLEEP_MIDDLEWARE,
        ...rankFlags(context.ranks),
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
      ...(isLonger(model.maxModelLen, context.locked) ? { [ALLOW_LONG]: "1" } : {}),
      ...env,
      ...model.env,
      ...(model.sleep && sleepEnv(model)),
      ...hostEnv(context.ranks),
    },
    tmpfs: PYTHON_TMPFS,
    port: context.port,
    healthPath: "/health",
    metricsPath: "/metrics",
    healthTest: bashHealth(context.port, "/health"),
    watch: watchOf(model, context, SIGNS),
    files: { "backend.env": envFile({ VLLM_API_KEY: [{ secret: "saltKey", as: "shell-derived" }] }) },
    assets: { ...WITH_ENV, ...(model.sleep && SLEEP_ASSETS) },
    ...(model.sleep && { sleep: sleepCommands(model.sleep) }),
    memoryMiB: withHostPart(model.memoryMiB, context.knobs),
    readySeconds: ready,
    stopGraceSeconds: model.shutdownTimeout + STOP_MARGIN_SECONDS,
    mounts: [
      weights.mount,
      // The driver looks a device up by its place on the bus, and Docker gives a container no links of /dev/dri.
      ...(role === "vllm-xpu" ? [readOnly("/dev/dri/by-path")] : []),
      ...lora.mounts,
      { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false },
    ],
    weights: [...weights.fetch, ...lora.fetch],
  });
}

function tensorParallel(model: VllmModel): number | undefined {
  const size = model.tensorParallelSize ?? tensorRanks(devicesOfAll(model), said(model));
  return size > 1 ? size : undefined;
}

const said = (model: VllmModel) => withArgs(model, options, parser);

const ALLOW_LONG = "VLLM_ALLOW_LONG_MAX_MODEL_LEN";

function longestContext(model: VllmModel, { shape }: LockedModel): number {
  const longest = overriddenContext(model.hfOverrides, shape.contextLength);
  return isTrue(model.env[ALLOW_LONG]) ? Math.max(longest, model.maxModelLen ?? 0) : longest;
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
      host.arch === "arm64" ? ["cpu", "nvidia"] : ["cpu", "nvidia", "amd", "intel"],
    ),
    ...checkContext(model.maxModelLen, locked, `${path}.maxModelLen`, {
      longest: locked && longestContext(said(model), locked),
      scale:
        "A longer one needs its positions scaled: hfOverrides: { rope_parameters: { rope_type: yarn, factor, … } }.",
    }),
    ...checkTensorParallel(
      model.tensorParallelSize,
      model,
      locked,
      `${path}.tensorParallelSize`,
      said(model),
    ),
    ...checkParsers(model, vllmParsers, path),
    ...checkLora(model.loraModules, "loraModules", path),
    ...checkExtraArgs(model.extraArgs, OWNED, path, parser),
    ...checkTwice(model, options, parser, path),
    ...checkRelease(model, path),
    ...checkNodeFlags(model, NODE_FLAGS, path, parser),
    ...checkSleep(model, path, host, locked),
    ...checkEnv(model.env, OWNED_ENV, path),
  ];
}

export const vllm: Engine<VllmModel> = {
  schema,
  keys: Object.keys(schema.shape),
  protocols: vllmProtocols,
  routes: ({ mode }) => (mode === "audio_transcription" ? ["/v1/audio/"] : []),
  features,
  said,
  longestContext,
  check,
  release: known.version,
  files,
  sleeps: true,
  sources: (model) => [modelOf(model), ...loraSources(model.loraModules, "loraModules")],
  adapters: ({ loraModules }) => Object.keys(loraModules),
  images: (model, host) => [image(model, host)],
  commandLine: { options, parser },
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
