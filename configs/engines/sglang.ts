import type { Problem } from "../kit/problems";
import { configFile } from "../kit/text";
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
  type Protocol,
} from "./engine";
import { checkParsers, parsersOf } from "./families";
import type { EngineFeatures } from "./features";
import { placeFiles, withFiles } from "./files";
import known from "./flags/sglang.json";
import { modelInfo } from "./info";
import { checkLora, loraModules, loraSources } from "./lora";
import { checkNodeFlags, devicesOfAll } from "./nodes";
import { checkExtraArgs, commandOf } from "./options";
import { sglangParsers } from "./parsers/sglang";
import { CACHE, PYTHON_ENV, PYTHON_TMPFS } from "./python";
import { checkTwice, isTrue } from "./said";
import {
  files,
  NODE_FLAGS,
  OWNED,
  options,
  parser,
  rankFlags,
  type SglangModel,
  said,
  schema,
} from "./sglangOptions";
import { checkContext, checkTensorParallel, isLonger, tensorRanks } from "./shape";
import { checkRepository, isGguf, modelOf, weightsDirectory } from "./source";
import { watchOf } from "./watch";

/** Compilation, CUDA graphs and the first generation. */
const COMPILE_SECONDS = 300;

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "SGLang's own route." },
  { path: "/v1/completions", how: "native", why: "SGLang's own route." },
  {
    path: "/v1/messages",
    how: "native",
    why: "SGLang refuses x-api-key, which anthropic/ sends; hosted_vllm/ with supported_endpoints sends Bearer.",
  },
  {
    path: "/v1/messages/count_tokens",
    how: "native",
    why: "The gateway's guard asks SGLang's own tokenizer.",
  },
  { path: "/v1/responses", how: "native", why: "SGLang's own route; answers are not stored." },
  { path: "/v1/embeddings", how: "native", why: "With mode: embedding (--is-embedding)." },
  { path: "/v1/rerank", how: "none", why: "Its route wants flags that differ from model to model." },
];

const ALLOW_LONG = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN";

function longestContext(model: SglangModel, { shape }: LockedModel): number {
  const longest = overriddenContext(model.jsonModelOverrideArgs, shape.contextLength);
  return isTrue(model.env[ALLOW_LONG]) ? Math.max(longest, model.contextLength ?? 0) : longest;
}

function image(model: SglangModel, host: HostConfig) {
  if (acceleratorOf(model.gpu, host).kind === "amd") return "sglang-rocm";
  return host.arch === "arm64" ? "sglang-spark" : "sglang";
}

/** By today's flag what an entry says by the older keys. */
function attentionGroups({
  enableDpAttention,
  dataParallelSize,
  attnDpSize = dataParallelSize,
}: SglangModel) {
  if (!enableDpAttention || attnDpSize === undefined) return {};
  return { attnDpSize, dataParallelSize: undefined, enableDpAttention: undefined };
}

/** What its scheduler says of each batch of prompts, and of every 40 steps. */
const SIGNS = [
  "sglang:generation_tokens_total",
  "sglang:prompt_tokens_total",
  "sglang:num_used_tokens",
  "sglang:token_usage",
  "sglang:num_running_reqs",
  "sglang:num_queue_reqs",
];

function container(entry: SglangModel, context: EngineContext): EngineContainer {
  const { model, ...placed } = placeFiles(files, entry, context);
  const weights = weightsDirectory(model.model, context);
  const lora = loraModules(model.loraPaths, context);
  const parsers = parsersOf(model, sglangParsers);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const knobs = context.knobs?.args;
  const ranks = model.tensorParallelSize ?? tensorRanks(devicesOfAll(model), said(model));
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
        ...attentionGroups(model),
        maxTotalTokens: model.maxTotalTokens ?? knobs?.["--max-total-tokens"],
        chunkedPrefillSize: model.chunkedPrefillSize ?? knobs?.["--chunked-prefill-size"],
        disablePrefillCudaGraph: model.disableCudaGraph,
        jsonModelOverrideArgs: model.jsonModelOverrideArgs && JSON.stringify(model.jsonModelOverrideArgs),
        toolCallParser: parsers.tools,
        reasoningParser: parsers.reasoning,
        enableLora: lora.modules.length > 0,
        loraPaths: lora.modules,
        ...rankFlags(context.ranks),
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
    watch: watchOf(model, context, SIGNS),
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
      model,
      locked,
      `${path}.tensorParallelSize`,
      said(model),
    ),
    ...checkParsers(model, sglangParsers, path),
    ...checkLora(model.loraPaths, "loraPaths", path),
    ...checkExtraArgs(model.extraArgs, OWNED, path, parser),
    ...checkTwice(model, options, parser, path),
    ...checkNodeFlags(model, NODE_FLAGS, path, parser),
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
  keys: Object.keys(schema.shape),
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
