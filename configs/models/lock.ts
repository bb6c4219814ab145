import { z } from "zod";
import type { Problem } from "../kit/problems";
import type { Holds, Locked, LockedModel, LockedPart, ModelLock, UnresolvedModel } from "./facts";

/** Name of the committed lock file, in the project's root. */
export const MODEL_LOCK_FILE = "models.lock.json";

const bytes = z.int().min(0);

const attentionSchema = z.strictObject({
  layers: z.int().min(1).describe("How many layers."),
  kind: z
    .enum(["full", "sliding", "mla", "recurrent"])
    .describe(
      "What a layer keeps of a sequence: a cell a token, a window, one compressed head, a fixed state.",
    ),
  kvHeads: z.int().min(0).describe("Key/value heads; 1 for mla."),
  keyLength: z.int().min(0).describe("Elements of one key head."),
  valueLength: z.int().min(0).describe("Elements of one value head; 0 for mla."),
  window: z.int().min(1).optional().describe("Tokens that a sliding layer sees."),
  stateBytes: bytes.optional().describe("Bytes of a sequence's state over all these layers, for recurrent."),
});

const shapeSchema = z.strictObject({
  architecture: z.string().describe("general.architecture of a GGUF, architectures[0] of a config.json."),
  contextLength: z.int().min(0).describe("Tokens that it was trained for; 0 where nothing says so."),
  layers: z.int().min(0).describe("Repeating layers."),
  hiddenSize: z.int().min(0).describe("Width of the residual stream."),
  attentionHeads: z.int().min(0).describe("Query heads of a layer."),
  vocabularySize: z.int().min(0).describe("Tokens of the vocabulary."),
  parameters: z.number().min(0).describe("Parameters in all."),
  attention: z.array(attentionSchema).describe("What the layers keep of a sequence, by kind."),
  experts: z.int().min(0).describe("Experts of a layer; 0 for dense models."),
  vision: z.boolean().describe("It takes images."),
  audio: z.boolean().describe("It takes audio."),
  task: z.enum(["chat", "embedding", "rerank", "speech"]).describe("What it is for."),
});

const expertSchema = z.strictObject({
  tensor: z.string().describe("ffn_up_exps, ffn_down_exps, … of a GGUF; experts in safetensors."),
  first: z.int().min(0).describe("The first of the layers, from 0."),
  layers: z.int().min(1).describe("How many layers in a row."),
  bytes: bytes.describe("Bytes in each of them."),
});

const fileSchema = z.strictObject({
  path: z.string().describe("Path inside the repository, or on the host."),
  bytes: bytes.describe("Size in bytes."),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe("SHA-256 where the hub gives one."),
});

const source = {
  revision: z.string().describe("Commit of the repository; empty for a file of the host."),
  files: z.array(fileSchema).min(1).describe("What is downloaded, in the order of the paths."),
  weightBytes: bytes.describe("Bytes of all tensors."),
  resolvedAt: z.iso.datetime().describe("When it was resolved."),
};

// The keys have the file's order, so that reading and writing an entry leaves its text unchanged.
const modelSchema = z.strictObject({
  revision: source.revision,
  format: z.enum(["gguf", "safetensors"]).describe("Format of the weights."),
  files: source.files,
  weightBytes: source.weightBytes,
  layerBytes: bytes.describe("Bytes of the repeating layers' tensors."),
  inputBytes: bytes.describe("Bytes of an input embedding that the output does not share."),
  quantization: z.string().describe("Type of the weights: Q4_K_M, bfloat16, fp8, awq."),
  experts: z.array(expertSchema).optional().describe("Of the layers' bytes those of experts."),
  shape: shapeSchema.describe("What memory and flags follow from."),
  resolvedAt: source.resolvedAt,
}) satisfies z.ZodType<LockedModel>;

const partSchema = z.strictObject({
  ...source,
  holds: z
    .enum(["projector", "adapter", "speech", "tokenizer", "file"])
    .describe("What it is, where it is no model in safetensors or GGUF."),
}) satisfies z.ZodType<LockedPart>;

const unresolvedSchema = z.strictObject({
  unresolved: z.string().min(1).describe("Why there is nothing else."),
}) satisfies z.ZodType<UnresolvedModel>;

/** Schema of `models.lock.json`: source as in the stack config to what is locked for it. */
export const modelLockSchema: z.ZodType<ModelLock> = z.record(
  z.string(),
  z.union([unresolvedSchema, partSchema, modelSchema]),
);

/** Whether a source is one that `gpubox models lock` resolves. Others (`canned`, an engine's own tags) have no entry. */
export function isLockable(source: string): boolean {
  return /^(hf|file):\/\//.test(source);
}

/** What is locked of a source, or undefined where `gpubox models lock` has not seen it or could not resolve it. */
export function lockedSource(lock: ModelLock, source: string): Locked | undefined {
  const entry = entryOf(lock, source);
  return entry && "revision" in entry ? entry : undefined;
}

/** The same, for a model in safetensors or GGUF. */
export function lockedModel(lock: ModelLock, source: string): LockedModel | undefined {
  const entry = lockedSource(lock, source);
  return entry && "shape" in entry ? entry : undefined;
}

/** Why a source that is in the lock could not be resolved. */
export function whyUnresolved(lock: ModelLock, source: string): string | undefined {
  const entry = entryOf(lock, source);
  return entry && "unresolved" in entry ? entry.unresolved : undefined;
}

function entryOf(lock: ModelLock, source: string) {
  return Object.hasOwn(lock, source) ? lock[source] : undefined;
}

/** A source of the config, and what its key wants it to hold. */
export interface WantedSource {
  /** Path of the key that names it. */
  path: string;
  source: string;
  holds: Holds | "anything";
}

/** Each kind as people call it. */
const NAMES: Record<Holds, string> = {
  model: "model in safetensors or GGUF",
  projector: "projector",
  adapter: "LoRA adapter",
  speech: "model of CTranslate2 or ONNX",
  tokenizer: "tokenizer without weights",
  file: "file that is no model",
};

/** Hub sources that are not locked, whose content may change at any time, and sources of the wrong kind. */
export function lockProblems(sources: WantedSource[], lock: ModelLock): Problem[] {
  return sources.flatMap(({ path, source, holds }) => {
    const entry = entryOf(lock, source);
    if (!entry) return source.startsWith("hf://") ? [notLocked(path, source)] : [];
    if ("unresolved" in entry) return [];
    const held = "holds" in entry ? entry.holds : "model";
    if (held === holds || holds === "anything") return [];
    // A model's repository has its tokenizer.
    if (held === "model" && holds === "tokenizer") return [];
    return [
      {
        path,
        what: `${source} is a ${NAMES[held]}, and this key wants a ${NAMES[holds]}.`,
        fix: `Name a ${NAMES[holds]} here; \`gpubox models list\` says what each source is.`,
      },
    ];
  });
}

/** The mistake of a source that is not in the lock. `path` is the key that names the source. */
export function notLocked(path: string, source: string): Problem {
  return {
    path,
    what: `${source} is not in ${MODEL_LOCK_FILE}.`,
    fix: "Run `gpubox models lock`, and commit the file.",
  };
}
