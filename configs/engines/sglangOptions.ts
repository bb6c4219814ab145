import { z } from "zod";
import { backendBase, modeOption } from "../schema/model";
import { nodesOption } from "../schema/nodes";
import { parserOptions } from "./families";
import { fileKeysOf, fileOption, fileOrWordOption } from "./files";
import known from "./flags/sglang.json";
import { loraOption } from "./lora";
import { flagsOfNodes, type Ranks } from "./nodes";
import { keysOf, option, ownedNames, planned } from "./options";
import { withArgs } from "./said";
import { modelSource } from "./source";
import type { Parser } from "./spelling";
import { hangSeconds } from "./watch";

const count = z.int().min(1).optional();
const off = z.boolean().default(false);

/** Every flag of SGLang's server that gpubox writes, in the order of the command line. */
export const options = {
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
  attnDpSize: option(
    "--attn-dp-size --attention-data-parallel-size",
    count.describe(
      "--attn-dp-size: of the tensor ranks, groups that each keep the attention of requests of their own. Default: 1.",
    ),
    null,
  ),
  enableDpAttention: option(
    "--enable-dp-attention",
    z
      .boolean()
      .optional()
      .describe("--enable-dp-attention: the older way to say it; dataParallelSize is then attnDpSize."),
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
  nodeCount: planned("--nnodes"),
  nodeRank: planned("--node-rank"),
  initAddress: planned("--dist-init-addr --nccl-init-addr"),
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
  hangSeconds,
  nodes: nodesOption,
  shmMiB: z.int().min(64).default(16_384).describe("Shared memory in MiB."),
};

export const schema = z.strictObject(shape);
export type SglangModel = z.infer<typeof schema>;

export const files = fileKeysOf(options);

/** Flags by which an entry with `nodes` says which hosts it spans. */
export const NODE_FLAGS = flagsOfNodes(options, ["nodeCount", "nodeRank", "initAddress", "dataParallelSize"]);

/** The flags of one rank. */
export function rankFlags(ranks: Ranks | undefined) {
  return {
    nodeCount: ranks?.hosts.length,
    nodeRank: ranks?.rank,
    initAddress: ranks && `${ranks.hosts[0]!.address}:${ranks.port}`,
  };
}

/** Flags that `extraArgs` may not set. */
export const OWNED = ownedNames(options, ["--api-key", "--admin-api-key"]);

/** Python's argparse as it is (`prepare_server_args` of sglang/srt/server_args.py). */
export const parser: Parser = { flags: known.flags, beginnings: true, joined: true };

/**
 * The entry with what its own `extraArgs` say of memory and devices. The older way to say attention parallelism becomes today's, as
 * SGLang reads it (`_handle_deprecated_dp_attention` of sglang/srt/arg_groups/parallel_hook.py).
 */
export function said(model: SglangModel): SglangModel {
  const given = withArgs(model, options, parser);
  if (!given.enableDpAttention) return given;
  const { dataParallelSize, attnDpSize = dataParallelSize, ...rest } = given;
  return { ...rest, attnDpSize };
}
