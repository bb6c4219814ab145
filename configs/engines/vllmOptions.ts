import { z } from "zod";
import type { Problem } from "../kit/problems";
import { backendBase, modeOption } from "../schema/model";
import { nodesOption } from "../schema/nodes";
import { parserOptions } from "./families";
import { fileKeysOf, fileOption } from "./files";
import known from "./flags/vllm.json";
import { loraOption } from "./lora";
import { flagsOfNodes, type Ranks } from "./nodes";
import { keysOf, option, ownedNames, planned, setting } from "./options";
import { modelSource } from "./source";
import { givenFlags, type Parser } from "./spelling";
import { hangSeconds } from "./watch";

const count = z.int().min(1).optional();
const off = z.boolean().default(false);

/** What vLLM profiles with, beside the count: its `ImageDummyOptions`, `VideoDummyOptions`, `AudioDummyOptions`. */
const mediaLimit = z.strictObject({
  count: z.int().min(0).optional().describe("How many a request."),
  width: count.describe("Pixels of the largest image or video."),
  height: count.describe("Pixels of the largest image or video."),
  num_frames: count.describe("Frames of the longest video."),
  length: count.describe("Samples of the longest audio."),
});

/** Every flag of `vllm serve` that gpubox writes, in the order of the command line. */
export const options = {
  // The command names it before its flags.
  model: setting(
    modelSource.describe("Safetensors: hf://owner/repo[@revision], or file:///directory/on/the/host."),
    "--model --revision",
  ),
  servedModelName: planned("--served-model-name", ""),
  host: planned("--host", ""),
  port: planned("--port", ""),
  mode: option("--runner", modeOption(["chat", "completion", "embedding", "rerank", "audio_transcription"])),
  maxModelLen: option(
    "--max-model-len",
    count.describe("--max-model-len: longest context in tokens. Default: the model's own."),
  ),
  tensorParallelSize: option(
    "--tensor-parallel-size -tp",
    count.describe("--tensor-parallel-size. Default: the number of gpu.devices."),
  ),
  pipelineParallelSize: option(
    "--pipeline-parallel-size -pp",
    z.int().min(1).default(1).describe("--pipeline-parallel-size."),
  ),
  enableExpertParallel: option(
    "--enable-expert-parallel",
    off.describe("--enable-expert-parallel, for mixtures of experts."),
  ),
  gpuMemoryUtilization: option(
    "--gpu-memory-utilization --device-memory-utilization",
    z
      .number()
      .positive()
      .max(0.98)
      .optional()
      .describe(
        "--gpu-memory-utilization: share of each device's whole memory. Default: gpu.memoryGiB by the device's, else vLLM's own 0.92.",
      ),
  ),
  kvCacheMemoryBytes: option(
    "--kv-cache-memory-bytes",
    count.describe(
      "--kv-cache-memory-bytes for each device, in place of the above. Without a GPU: a quarter of memoryMiB.",
    ),
  ),
  // A batch that the planner sizes has always stood beside its memory, one of the entry further down. Moving either would
  // restart running backends.
  plannedNumSeqs: planned("--max-num-seqs"),
  plannedBatchedTokens: planned("--max-num-batched-tokens"),
  kvCacheDtype: option("--kv-cache-dtype", z.string().optional().describe("--kv-cache-dtype: auto, fp8, …")),
  dtype: option(
    "--dtype",
    z.enum(["auto", "half", "float16", "bfloat16", "float", "float32"]).optional().describe("--dtype."),
  ),
  quantization: option(
    "--quantization -q",
    z.string().optional().describe("--quantization. Default: what the model's config says."),
  ),
  maxNumSeqs: option("--max-num-seqs", count.describe("--max-num-seqs: requests in one batch.")),
  maxNumBatchedTokens: option("--max-num-batched-tokens", count.describe("--max-num-batched-tokens.")),
  enablePrefixCaching: option(
    "--no-enable-prefix-caching --enable-prefix-caching",
    z.boolean().default(true).describe("--enable-prefix-caching: answers of shared beginnings are reused."),
  ),
  enforceEager: option(
    "--enforce-eager",
    off.describe("--enforce-eager: no CUDA graphs; slower, starts sooner, takes less."),
  ),
  trustRemoteCode: option(
    "--trust-remote-code",
    off.describe("--trust-remote-code: runs Python of the model's repository."),
  ),
  autoToolChoice: planned("--enable-auto-tool-choice", "tools"),
  ...parserOptions("--tool-call-parser", "--reasoning-parser"),
  chatTemplate: fileOption("--chat-template", "text", "--chat-template:"),
  tokenizer: fileOption(
    "--tokenizer --tokenizer-revision",
    "tokenizer",
    "--tokenizer. Default: the model's own.",
  ),
  limitMmPerPrompt: option(
    "--limit-mm-per-prompt",
    z
      .record(z.string(), z.union([z.int().min(0), mediaLimit]))
      .optional()
      .describe(
        "--limit-mm-per-prompt: images, videos, audios a request, for example { image: 4, video: 0 } or { image: { count: 4, width: 512 } }.",
      ),
  ),
  enableLora: planned("--enable-lora", "loraModules"),
  loraModules: option("--lora-modules", loraOption),
  maxLoras: option("--max-loras", count.describe("--max-loras: adapters in one batch.")),
  maxLoraRank: option("--max-lora-rank", count.describe("--max-lora-rank.")),
  speculativeConfig: {
    ...option(
      "--speculative-config --spec-model",
      z
        .record(z.string(), z.unknown())
        .optional()
        .describe(
          "--speculative-config: { method: ngram, num_speculative_tokens: 4, … }. A draft model is a source: model: hf://owner/repo.",
        ),
    ),
    file: "settings" as const,
  },
  shutdownTimeout: option(
    "--shutdown-timeout",
    z
      .int()
      .min(0)
      .max(840)
      .default(60)
      .describe("--shutdown-timeout: seconds that running requests get when it is stopped."),
  ),
  promptTokensDetails: planned("--enable-prompt-tokens-details"),
  quietRoutes: planned("--disable-access-log-for-endpoints"),
  sleepMode: planned("--enable-sleep-mode"),
  sleepOrders: planned("--middleware"),
  ...{
    executor: planned("--distributed-executor-backend"),
    nodeCount: planned("--nnodes -n"),
    nodeRank: planned("--node-rank -r"),
    masterAddress: planned("--master-addr"),
    masterPort: planned("--master-port"),
    headless: planned("--headless"),
  },
  dataParallelSize: option(
    "--data-parallel-size -dp",
    count.describe("--data-parallel-size: copies of the model that share the requests. Default: 1."),
    null,
  ),
  blockSize: option("--block-size", count.describe("--block-size: tokens of a page of the KV cache."), null),
  cpuOffloadGb: option(
    "--cpu-offload-gb",
    z
      .number()
      .min(0)
      .optional()
      .describe("--cpu-offload-gb: GiB of each device's weights in the host's memory."),
    null,
  ),
  kvOffloadingSize: option(
    "--kv-offloading-size",
    z.number().min(0).optional().describe("--kv-offloading-size: GiB of the host's memory for KV cache."),
    null,
  ),
  hfOverrides: option(
    "--hf-overrides",
    z
      .record(z.string(), z.unknown())
      .optional()
      .describe(
        "--hf-overrides: keys of the model's config.json, for example rope_parameters for a longer context.",
      ),
    null,
  ),
};

const shape = {
  engine: z.literal("vllm"),
  ...keysOf(options),
  recipe: z
    .string()
    .optional()
    .describe(
      "The verified recipe that it follows, as `gpubox model add` writes it. A preview says on which hardware it was verified.",
    ),
  ...backendBase(32_768),
  hangSeconds,
  nodes: nodesOption,
  shmMiB: z
    .int()
    .min(64)
    .optional()
    .describe("Shared memory in MiB. Default: 4096, 16384 with several devices."),
};

export const schema = z.strictObject(shape);
export type VllmModel = z.infer<typeof schema>;

export const files = fileKeysOf(options);

/** Flags that `extraArgs` may not set. */
export const OWNED = ownedNames(options, ["--api-key", "--config"]);

/** Flags by which an entry with `nodes` says which hosts it spans. */
export const NODE_FLAGS = [
  ...flagsOfNodes(options, [
    ...["executor", "nodeCount", "nodeRank", "masterAddress", "masterPort", "headless"],
    "dataParallelSize",
  ]),
];

/** The flags of one rank. Outside CUDA vLLM would not choose `mp` by itself. */
export function rankFlags(ranks: Ranks | undefined) {
  return {
    executor: ranks && "mp",
    nodeCount: ranks?.hosts.length,
    nodeRank: ranks?.rank,
    masterAddress: ranks?.hosts[0]?.address,
    masterPort: ranks?.port,
    headless: ranks !== undefined && ranks.rank > 0,
  };
}

/** The address by which the other hosts' ranks reach this one. `ranks.py` adds the interface that has it. */
export function hostEnv(ranks: Ranks | undefined): Record<string, string> {
  return ranks ? { VLLM_HOST_IP: ranks.hosts[ranks.rank]!.address } : {};
}

/** Variables that `env` may not set. */
export const OWNED_ENV = ["VLLM_API_KEY", "VLLM_ENGINE_READY_TIMEOUT_S"];

/**
 * What gpubox gives every vLLM unless `extraArgs` says it: usage counts the tokens that came from the cache, and the log has no
 * line for each health check of Docker and of the valve.
 */
export function defaultsBeside(extraArgs: string[]) {
  const given = givenFlags(extraArgs, parser);
  const says = (name: string) => given.some(({ flag }) => flag.names.includes(name));
  const { promptTokensDetails, quietRoutes } = options;
  return {
    promptTokensDetails: !says(promptTokensDetails.flag),
    quietRoutes: says(quietRoutes.flag) ? undefined : "/health,/metrics",
  };
}

/** The first minor release 0.N with every flag that gpubox writes unasked: `--shutdown-timeout` came with it. */
const OLDEST = 18;

/** Refuses an official image that is too old. Other repositories number their tags as they like. */
export function checkRelease({ image }: VllmModel, path: string): Problem[] {
  const official = image && /(^|\/)vllm\/vllm-openai(-[a-z]+)?$/.test(image.repository);
  const minor = official ? /^v0\.(\d+)\./.exec(image.tag)?.[1] : undefined;
  if (minor === undefined || Number(minor) >= OLDEST) return [];
  return [
    {
      path: `${path}.image.tag`,
      what: `vLLM ${image!.tag} does not know --shutdown-timeout, with which gpubox starts it.`,
      fix: `Name v0.${OLDEST}.0 or newer.`,
    },
  ];
}

/** vLLM's FlexibleArgumentParser (vllm/utils/argparse_utils.py): argparse with both dashes, and JSON in parts. */
export const parser: Parser = {
  flags: known.flags,
  underscores: true,
  beginnings: true,
  joined: true,
  dotted: true,
};
