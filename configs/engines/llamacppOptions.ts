import { z } from "zod";
import { backendBase, modeOption, onDemandInSlot } from "../schema/model";
import { fileKeysOf, fileOption } from "./files";
import known from "./flags/llamacpp.json";
import { cacheType, layersOnGpu, memoryOptions } from "./llamacppMemory";
import { keysOf, option, ownedNames, planned } from "./options";
import { withArgs } from "./said";
import { modelSource } from "./source";
import type { Parser } from "./spelling";
import { hangSeconds } from "./watch";

const file = modelSource.describe("hf://owner/repo[@revision]/file.gguf or file:///path/on/the/host.gguf.");

/** Every flag of llama-server that gpubox writes, in the order of the command line. */
export const options = {
  model: option(
    "--model -m",
    z
      .union([z.literal("canned"), modelSource], {
        error: "Write hf://owner/repo[@revision]/file.gguf, file:///path/on/the/host.gguf, or canned.",
      })
      .describe("The GGUF: hf://owner/repo[@revision]/file.gguf, file:///path/on/the/host.gguf, or canned."),
  ),
  alias: planned("--alias -a", ""),
  host: planned("--host", ""),
  port: planned("--port", ""),
  apiKey: planned("--api-key-file --api-key", ""),
  ctxSize: option(
    "--ctx-size -c",
    z.int().min(1).default(4096).describe("--ctx-size: tokens shared by all slots."),
  ),
  parallel: option(
    "--parallel -np",
    z.int().min(1).default(2).describe("--parallel: requests served at the same time."),
  ),
  threads: option(
    "--threads",
    z.int().min(1).optional().describe("--threads: CPU threads. Default: llama.cpp's choice."),
  ),
  fit: planned("--fit"),
  nGpuLayers: option(
    "--n-gpu-layers -ngl --gpu-layers",
    layersOnGpu.describe("--n-gpu-layers: layers on the GPU. Default: all of them, with gpu.devices."),
  ),
  cacheTypeK: option(
    "--cache-type-k -ctk",
    cacheType.describe("--cache-type-k: type of the keys in the KV cache. Default: f16."),
  ),
  cacheTypeV: option(
    "--cache-type-v -ctv",
    cacheType.describe("--cache-type-v: type of the values in the KV cache. Default: f16."),
  ),
  flashAttn: option(
    "--flash-attn -fa",
    z.enum(["on", "off", "auto"]).optional().describe("--flash-attn. Default: auto."),
  ),
  cacheRam: option(
    "--cache-ram -cram",
    z
      .int()
      .min(0)
      .optional()
      .describe("--cache-ram: MiB of memoryMiB for prompts seen before. Default: an eighth of memoryMiB."),
  ),
  mmproj: option(
    "--mmproj -mm",
    file.optional().describe("--mmproj: the projector of a model that sees or hears, a file like `model`."),
  ),
  lora: option(
    "--lora",
    z.array(file).default([]).describe("--lora: adapters in GGUF that are always on, files like `model`."),
  ),
  modelDraft: fileOption(
    "--model-draft -md --spec-draft-model",
    "gguf",
    "--model-draft: a small model of the same vocabulary that drafts tokens for this one:",
  ),
  specType: option(
    "--spec-type",
    z
      .string()
      .regex(/^[a-z0-9-]+(,[a-z0-9-]+)*$/, "Write a type, or several with commas: ngram-simple,draft-simple.")
      .optional()
      .describe("--spec-type: how tokens are drafted. Default: draft-simple, with modelDraft."),
  ),
  chatTemplate: option(
    "--chat-template",
    z
      .string()
      .min(1)
      .optional()
      .describe(
        "--chat-template: a template that llama.cpp knows by name, or the text of one. Default: the GGUF's.",
      ),
  ),
  chatTemplateFile: fileOption("--chat-template-file", "text", "--chat-template-file:"),
  grammarFile: fileOption(
    "--grammar-file",
    "text",
    "--grammar-file: a GBNF that every answer follows, unless the request has one:",
  ),
  jsonSchemaFile: fileOption(
    "--json-schema-file -jf",
    "text",
    "--json-schema-file: a JSON Schema that every answer follows, unless the request has one:",
  ),
  embeddings: planned("--embeddings --embedding", "mode"),
  rerank: planned("--rerank --reranking", "mode"),
  pooling: option(
    "--pooling",
    z
      .enum(["none", "mean", "cls", "last", "rank"])
      .optional()
      .describe("--pooling: how an embedding is made of its tokens. Default: the model's."),
  ),
  ...memoryOptions,
};

const shape = {
  engine: z.literal("llamacpp"),
  ...keysOf(options),
  variant: z
    .literal("vulkan")
    .optional()
    .describe(
      "vulkan: the image that computes by Vulkan, in place of ROCm on AMD's GPUs and of SYCL on Intel's.",
    ),
  offlineModel: z
    .literal("canned")
    .optional()
    .describe("What serves under this name where no model hub answers: a tiny model with one fixed answer."),
  mode: modeOption(["chat", "completion", "embedding", "rerank"]),
  ...backendBase(8192),
  hangSeconds,
  ...onDemandInSlot,
};

export const schema = z.strictObject(shape);
export type LlamaCppModel = z.infer<typeof schema>;

export const files = fileKeysOf(options);

/** Flags that `extraArgs` may not set. `--tools` and `--agent` run a shell for whoever asks. */
export const OWNED = ownedNames(options, ["--tools", "--agent"]);

/** `common_params_parse` of llama.cpp's common/arg.cpp. */
export const parser: Parser = { flags: known.flags, underscores: true, apart: true };

/** The entry with what its own `extraArgs` and `env` say of memory. */
export const said = (model: LlamaCppModel) => withArgs(model, options, parser);
