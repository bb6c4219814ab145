import type { Problem } from "../kit/problems";
import { configFile } from "../kit/text";
import type { LockedModel } from "../models/facts";
import { scaledContext } from "../models/rope";
import type { HostConfig } from "../schema/host";
import { readySeconds, withHostPart } from "./container";
import { acceleratorOf, checkDevices, deviceAccess } from "./devices";
import {
  type CheckContext,
  type Engine,
  type EngineContainer,
  type EngineContext,
  type NamedSource,
  nativeEndpoints,
} from "./engine";
import { placeFiles, withFiles } from "./files";
import { modelInfo } from "./info";
import { features, llamacppProtocols } from "./llamacppFeatures";
import { files, type LlamaCppModel, OWNED, options, parser, said, schema } from "./llamacppOptions";
import { checkEnv, checkExtraArgs, commandOf } from "./options";
import { checkTwice } from "./said";
import { checkContext } from "./shape";
import { cannedWeights, isGguf, modelOf, type Weights, weightsFile } from "./source";
import { givenFlags, variablesOf } from "./spelling";
import { watchOf } from "./watch";

function longestContext(model: LlamaCppModel, { shape }: LockedModel): number {
  return scaledContext(model, shape.contextLength);
}

function weightsOf(source: string, context: EngineContext): Weights {
  return source === "canned" ? cannedWeights(context) : weightsFile(source, context);
}

/** True where llama-swap loads it in its own container; in a group it has one of its own. */
function inSlot({ start, group }: LlamaCppModel): boolean {
  return start === "ondemand" && group === undefined;
}

/** llama-swap's images hold llama-server too, and have the same variants. */
function image(model: LlamaCppModel, host: HostConfig) {
  const program = inSlot(model) ? "llama-swap" : "llamacpp";
  const { kind, devices } = acceleratorOf(model.gpu, host);
  if (kind === "cpu") return program;
  if (model.variant) return `${program}-vulkan` as const;
  if (kind === "amd") return `${program}-rocm` as const;
  if (kind === "intel") return `${program}-intel` as const;
  // Blackwell (compute capability 10 and up) needs CUDA 13.
  const newest = Math.max(...devices.map(({ computeCapability }) => Number(computeCapability ?? 0)));
  return `${program}-${newest >= 10 || host.arch === "arm64" ? "cuda13" : "cuda"}` as const;
}

/** Vulkan knows the devices of a render node by an order of its own. */
function accessOf({ gpu, variant }: LlamaCppModel, host: HostConfig): ReturnType<typeof deviceAccess> {
  const access = deviceAccess(gpu, host);
  if (!variant || !gpu) return access;
  return { ...access, devices: ["/dev/dri"], env: { GGML_VK_VISIBLE_DEVICES: gpu.devices.join(",") } };
}

/** MiB of the host's memory for prompts seen before. */
export function cacheRamOf({ cacheRam, memoryMiB }: { cacheRam?: number; memoryMiB: number }): number {
  return cacheRam ?? Math.floor(memoryMiB / 8);
}

/** Its loop counts each batch, also of a long prompt. While it computes one it answers no question for metrics. */
const SIGNS = ["llamacpp:n_decode_total", "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"];

function container(entry: LlamaCppModel, context: EngineContext): EngineContainer {
  const { model, ...placed } = placeFiles(files, entry, context);
  const main = weightsOf(context.offline && model.offlineModel ? model.offlineModel : model.model, context);
  const projector = model.mmproj ? weightsFile(model.mmproj, context) : undefined;
  const adapters = model.lora.map((source) => weightsFile(source, context));
  const all = [main, ...(projector ? [projector] : []), ...adapters];
  const { env, ...devices } = accessOf(model, context.host);
  return withFiles(placed, {
    ...devices,
    image: image(model, context.host),
    entrypoint: ["/app/llama-server"],
    command: [
      ...commandOf(options, {
        ...model,
        model: main.path,
        alias: context.name,
        // On demand, llama-swap runs beside it and is the only one that may ask it.
        host: inSlot(model) ? "127.0.0.1" : "0.0.0.0",
        // Always explicit: llama.cpp announces another default port.
        port: context.port,
        apiKey: "/etc/gpubox/api-key",
        // Without it llama.cpp fits itself to what is free now, which depends on who started first.
        fit: model.gpu ? "off" : undefined,
        nGpuLayers: model.nGpuLayers ?? (model.gpu ? "all" : undefined),
        // Written once: what extraArgs say of it is theirs.
        tensorSplit:
          model.tensorSplit?.join(",") ??
          (said(model).tensorSplit ? undefined : context.knobs?.args["--tensor-split"]),
        cacheRam: cacheRamOf(model),
        mmproj: projector?.path,
        lora: adapters.map(({ path }) => path).join(",") || undefined,
        // A draft model alone turns nothing on in every release.
        specType: model.specType ?? (model.modelDraft ? "draft-simple" : undefined),
        embeddings: model.mode === "embedding",
        rerank: model.mode === "rerank",
        kvOffload: model.kvOffload === false,
        overrideTensor: model.overrideTensor?.join(","),
      }),
      "--jinja",
      "--no-webui",
      "--metrics",
      ...model.extraArgs,
    ],
    env: { ...env, ...model.env },
    port: context.port,
    healthPath: "/health",
    metricsPath: "/metrics",
    healthTest: ["CMD", "curl", "-fsS", `http://127.0.0.1:${context.port}/health`],
    watch: watchOf(model, context, SIGNS),
    files: { "api-key": configFile({ secret: "saltKey", as: "derived" }, "\n") },
    memoryMiB: withHostPart(model.memoryMiB, context.knobs, cacheRamOf(model)),
    readySeconds: readySeconds(model, context, 0),
    // A stream in flight keeps the process alive until its client goes away, so waiting longer gains nothing.
    stopGraceSeconds: 10,
    mounts: all
      .map(({ mount }) => mount)
      .filter(({ source }, index, mounts) => mounts.findIndex((other) => other.source === source) === index),
    weights: all.flatMap(({ fetch }) => fetch),
  });
}

function sources(model: LlamaCppModel): NamedSource[] {
  return [
    modelOf(model),
    ...(model.mmproj ? [{ key: "mmproj", source: model.mmproj, holds: "projector" as const }] : []),
    ...model.lora.map((source, index) => ({ key: `lora[${index}]`, source, holds: "adapter" as const })),
  ];
}

function check(model: LlamaCppModel, path: string, { host, locked }: CheckContext): Problem[] {
  return [
    ...sources(model)
      .filter(({ source }) => source !== "canned" && !source.endsWith(".gguf"))
      .map(({ key, source }) => ({
        path: `${path}.${key}`,
        what: isGguf(source)
          ? `"${source}" names a repository with several files.`
          : `llama.cpp reads GGUF only, and "${source}" is none.`,
        fix: "Write hf://owner/repo[@revision]/file.gguf, or use engine: vllm for safetensors.",
      })),
    ...checkDevices(
      "llama.cpp",
      model.gpu,
      host,
      path,
      host.arch === "arm64" ? ["cpu", "nvidia"] : ["cpu", "nvidia", "amd", "intel"],
    ),
    ...checkVariant(model, host, path),
    ...checkContext(Math.ceil(model.ctxSize / model.parallel), locked, `${path}.ctxSize`, {
      longest: locked && longestContext(said(model), locked),
      scale: "A longer one needs its positions scaled: ropeScaling: yarn, and ropeScale.",
    }),
    ...checkSplit(said(model), path),
    ...checkPooling(model, locked, path),
    ...checkExtraArgs(model.extraArgs, OWNED, path, parser),
    ...checkTwice(model, options, parser, path),
    ...checkEnv(model.env, variablesOf(OWNED, parser), path),
    ...(model.cacheRam !== undefined && model.cacheRam >= model.memoryMiB
      ? [
          {
            path: `${path}.cacheRam`,
            what: `A prompt cache of ${model.cacheRam} MiB leaves nothing of ${model.memoryMiB} MiB for the model.`,
            fix: "Raise memoryMiB, or lower cacheRam.",
          },
        ]
      : []),
  ];
}

function checkVariant({ variant, gpu }: LlamaCppModel, host: HostConfig, path: string): Problem[] {
  const { kind } = acceleratorOf(gpu, host);
  if (!variant || kind === "amd" || kind === "intel") return [];
  return [
    {
      path: `${path}.variant`,
      what:
        kind === "cpu"
          ? "Vulkan computes on a GPU, and the entry names none."
          : "gpubox gives NVIDIA's GPUs to a container for CUDA alone, and Vulkan would find none.",
      fix: "Leave it out, or name GPUs of AMD or Intel.",
    },
  ];
}

/** llama.cpp reads parts of devices that it has not as nothing, and gives devices without a part no layers. */
function checkSplit({ tensorSplit, splitMode, gpu, extraArgs }: LlamaCppModel, path: string): Problem[] {
  const devices = gpu?.devices.length ?? 0;
  const problems: Problem[] = [];
  if (tensorSplit && tensorSplit.length !== devices)
    problems.push({
      path: `${path}.tensorSplit`,
      what: `It has ${tensorSplit.length} parts for ${devices} ${devices === 1 ? "device" : "devices"}.`,
      fix: "Write one part for each of gpu.devices, in their order.",
    });
  const given = givenFlags(extraArgs, parser).find(({ flag }) => flag.names.includes("--split-mode"));
  if (given?.value === "none" && !splitMode && devices > 1)
    problems.push({
      path: `${path}.extraArgs`,
      what: `"${given.as} none" puts the whole model on one of its ${devices} devices.`,
      fix: "Name only that device in gpu.devices, and leave the flag out.",
    });
  return problems;
}

/** A model that embeds names its pooling in its GGUF, and llama.cpp takes that; of one that chats it would take none. */
function checkPooling(
  { mode, pooling }: LlamaCppModel,
  locked: LockedModel | undefined,
  path: string,
): Problem[] {
  if (mode !== "embedding" || pooling || locked?.shape.task !== "chat") return [];
  return [
    {
      path: `${path}.pooling`,
      what: "The GGUF is one that chats and names no pooling, so that llama.cpp refuses /v1/embeddings.",
      fix: "Write pooling: mean.",
    },
  ];
}

export const llamacpp: Engine<LlamaCppModel> = {
  schema,
  keys: Object.keys(schema.shape),
  protocols: llamacppProtocols,
  features,
  said,
  longestContext,
  check,
  files,
  sources,
  images: (model, host) => [image(model, host)],
  commandLine: { options, parser },
  container,
  route: (model, context, upstream) => ({
    // `hosted_vllm/` and not `openai/`: the latter sends /v1/messages to /v1/responses.
    model: `hosted_vllm/${context.name}`,
    mode: model.mode,
    apiBase: `${upstream}/v1`,
    apiKey: "backend",
    supportedEndpoints: model.mode === "chat" ? nativeEndpoints(llamacppProtocols) : undefined,
    info: modelInfo(model, context, {
      vision: model.mmproj !== undefined,
      // What one request may have: the slots share the rest.
      context: Math.floor(model.ctxSize / model.parallel),
    }),
  }),
};
