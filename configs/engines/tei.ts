import { z } from "zod";
import type { ImageRole } from "../kit/imageRoles";
import type { Problem } from "../kit/problems";
import { envFile } from "../kit/text";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import { bashHealth, readySeconds } from "./container";
import { acceleratorOf, checkDevices, deviceAccess } from "./devices";
import type { CheckContext, Engine, EngineContainer, EngineContext, Protocol } from "./engine";
import type { EngineFeatures } from "./features";
import { modelInfo } from "./info";
import { checkEnv, checkExtraArgs, commandOf, keysOf, option, ownedNames, planned, setting } from "./options";
import { WITH_ENV, WITH_ENV_COMMAND } from "./python";
import { checkRepository, isGguf, modelSource, weightsDirectory } from "./source";

const count = z.int().min(1).optional();

/** Every flag of the router that gpubox writes, in the order of the command line. */
const options = {
  model: option(
    "--model-id --revision",
    modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
  ),
  mode: setting(modeOption(["embedding", "rerank"])),
  servedModelName: planned("--served-model-name", ""),
  hostname: planned("--hostname", ""),
  port: planned("--port -p", ""),
  dtype: option(
    "--dtype",
    z
      .enum(["float16", "float32"])
      .optional()
      .describe("--dtype. Default: float16 on a GPU, float32 on the CPU."),
  ),
  pooling: option(
    "--pooling",
    z
      .enum(["cls", "mean", "splade", "last-token"])
      .optional()
      .describe("--pooling: how an embedding is made of its tokens. Default: the model's."),
  ),
  maxConcurrentRequests: option(
    "--max-concurrent-requests",
    count.describe("--max-concurrent-requests. Default: 512."),
  ),
  maxBatchTokens: option("--max-batch-tokens", count.describe("--max-batch-tokens. Default: 16384.")),
  maxClientBatchSize: option(
    "--max-client-batch-size",
    count.describe("--max-client-batch-size: texts a request. Default: 32."),
  ),
  autoTruncate: option(
    "--auto-truncate",
    z.boolean().default(false).describe("--auto-truncate: cuts texts that are too long, else refuses them."),
  ),
  jsonOutput: planned("--json-output"),
};

const shape = {
  engine: z.literal("text-embeddings-inference"),
  ...keysOf(options),
  ...backendBase(4096),
};

const schema = z.strictObject(shape);
type TeiModel = z.infer<typeof schema>;

/** Warm-up of the largest batch. */
const WARM_UP_SECONDS = 120;

/** Each image holds kernels for one compute capability: with another it crashes at the start. */
const IMAGES: Record<string, ImageRole> = {
  "7.5": "tei-75",
  "8.0": "tei-80",
  "8.6": "tei-86",
  "8.9": "tei-89",
  "9.0": "tei-90",
  "10.0": "tei-100",
  "12.0": "tei-120",
  "12.1": "tei-121",
};

/** Flags that `extraArgs` may not set. */
const OWNED = ownedNames(options, ["--api-key"]);

/** Its parser is clap: each flag has a variable too, `--max-batch-tokens` MAX_BATCH_TOKENS. */
const OWNED_ENV = Object.keys(OWNED)
  .filter((name) => name.startsWith("--"))
  .map((name) => name.slice(2).replaceAll("-", "_").toUpperCase());

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "none", why: "It embeds and reranks only." },
  { path: "/v1/messages", how: "none", why: "It embeds and reranks only." },
  { path: "/v1/embeddings", how: "native", why: "TEI's OpenAI route, by openai/." },
  {
    path: "/v1/rerank",
    how: "translated",
    why: "TEI's /rerank has a shape of its own, which LiteLLM knows as huggingface/.",
  },
];

function image(model: TeiModel, host: HostConfig): ImageRole {
  const { kind, devices } = acceleratorOf(model.gpu, host);
  if (kind === "cpu") return host.arch === "arm64" ? "tei-cpu-arm64" : "tei-cpu";
  // Checked before; the value only keeps the type simple.
  return IMAGES[devices[0]?.computeCapability ?? ""] ?? "tei-80";
}

function container(model: TeiModel, context: EngineContext): EngineContainer {
  const weights = weightsDirectory(model.model, context);
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  return {
    ...devices,
    image: image(model, context.host),
    entrypoint: WITH_ENV_COMMAND,
    command: [
      "text-embeddings-router",
      ...commandOf(options, {
        ...model,
        model: weights.path,
        servedModelName: context.name,
        hostname: "0.0.0.0",
        port: context.port,
        pooling: model.mode === "embedding" ? model.pooling : undefined,
        jsonOutput: true,
      }),
      ...model.extraArgs,
    ],
    env: { HUGGINGFACE_HUB_CACHE: "/tmp", ...env, ...model.env },
    tmpfs: { "/tmp": "rw,noexec,nosuid,size=512m,mode=1777" },
    port: context.port,
    healthPath: "/health",
    metricsPath: "/metrics",
    healthTest: bashHealth(context.port, "/health"),
    files: { "backend.env": envFile({ API_KEY: [{ secret: "saltKey", as: "shell-derived" }] }) },
    assets: WITH_ENV,
    memoryMiB: model.memoryMiB,
    readySeconds: readySeconds(model, context, WARM_UP_SECONDS),
    stopGraceSeconds: 30,
    mounts: [weights.mount],
    weights: weights.fetch,
  };
}

function check(model: TeiModel, path: string, { host, locked }: CheckContext): Problem[] {
  const problems = checkDevices("text-embeddings-inference", model.gpu, host, path, ["cpu", "nvidia"]);
  const { kind, devices } = acceleratorOf(model.gpu, host);
  const capability = devices[0]?.computeCapability;
  if (problems.length === 0 && kind === "nvidia" && !(capability && IMAGES[capability]))
    problems.push({
      path: `${path}.gpu.devices`,
      what: capability
        ? `text-embeddings-inference has no image for compute capability ${capability}.`
        : "Each image of text-embeddings-inference is for one compute capability, and the device declares none.",
      fix: capability
        ? `It has images for ${Object.keys(IMAGES).join(", ")}; leave \`gpu\` out to run on the CPU.`
        : "Add computeCapability to the device in gpubox:host.gpus: nvidia-smi --query-gpu=compute_cap --format=csv.",
    });
  if (model.gpu && model.gpu.devices.length > 1)
    problems.push({
      path: `${path}.gpu.devices`,
      what: "text-embeddings-inference uses one device.",
      fix: "Name one, and list `instances` for more.",
    });
  if (isGguf(model.model, locked))
    problems.push({
      path: `${path}.model`,
      what: "text-embeddings-inference does not read GGUF.",
      fix: "Use engine: llamacpp with mode: embedding for it.",
    });
  return [
    ...problems,
    ...checkRepository(model.model, path),
    ...checkExtraArgs(model.extraArgs, OWNED, path, { joined: true }),
    ...checkEnv(model.env, OWNED_ENV, path),
  ];
}

const features: EngineFeatures = {
  example: "hf://BAAI/bge-m3",
  known: "vendor",
  says: {
    metrics: { cell: "`GET /metrics`", known: "vendor" },
    drain: { cell: "finishes what runs", known: "vendor" },
  },
};

export const tei: Engine<TeiModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  routes: ({ mode }) => (mode === "rerank" ? ["/rerank"] : []),
  features,
  check,
  images: (model, host) => [image(model, host)],
  commandLine: { options, parser: { joined: true } },
  container,
  route: (model, context, upstream) => ({
    // LiteLLM adds /rerank to the one, /embeddings to the other.
    ...(model.mode === "rerank"
      ? { model: `huggingface/${context.name}`, apiBase: upstream }
      : { model: `openai/${context.name}`, apiBase: `${upstream}/v1` }),
    mode: model.mode,
    apiKey: "backend",
    info: modelInfo(model, context),
  }),
};
