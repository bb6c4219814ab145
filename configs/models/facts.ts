/**
 * Facts about a model before it is fetched. `gpubox models lock` writes them into the committed `models.lock.json`, the only
 * source that a preview reads.
 */

/** Attention of layers that are alike. A layer that has both attention and a recurrent state is counted in two groups. */
export interface AttentionGroup {
  /** How many layers. */
  layers: number;
  /** `full`: a cell a token. `sliding`: at most `window` tokens. `mla`: one compressed head, no values. `recurrent`: a fixed state a sequence. */
  kind: "full" | "sliding" | "mla" | "recurrent";
  /** Key/value heads; 1 for `mla`. */
  kvHeads: number;
  /** Elements of one key head; for `mla` kv_lora_rank + qk_rope_head_dim. */
  keyLength: number;
  /** Elements of one value head; 0 for `mla` and `recurrent`. */
  valueLength: number;
  /** Tokens, for `sliding`. */
  window?: number;
  /** Bytes of a sequence's state over all these layers, for `recurrent`. */
  stateBytes?: number;
}

/** The shape that memory and flags follow from. */
export interface ModelShape {
  /** `general.architecture` of a GGUF, `architectures[0]` of a config.json. */
  architecture: string;
  /** Longest context that it was trained for, in tokens; 0 where nothing says so. */
  contextLength: number;
  layers: number;
  hiddenSize: number;
  attentionHeads: number;
  vocabularySize: number;
  /** Total parameters. */
  parameters: number;
  attention: AttentionGroup[];
  /** Experts of each layer; 0 for dense models. */
  experts: number;
  /** Modes that it serves beside chat: images, audio. */
  vision: boolean;
  audio: boolean;
  /** `chat`, `embedding`, `rerank` or `speech`. */
  task: "chat" | "embedding" | "rerank" | "speech";
}

export interface LockedFile {
  /** Path inside the repository. */
  path: string;
  bytes: number;
  /** Absent where the hub gives none (small files that are not LFS objects). */
  sha256?: string;
}

/** What every resolved entry of `models.lock.json` has. */
export interface LockedSource {
  /** Commit that the revision pointed to; empty for files of the host. */
  revision: string;
  /** What is downloaded, in the order of their paths. */
  files: LockedFile[];
  /** Bytes of weights: sum over all tensors. */
  weightBytes: number;
  /** When it was resolved, ISO 8601. */
  resolvedAt: string;
}

/**
 * What a source holds. `speech`: a model of CTranslate2 or ONNX, which only speaches reads. `tokenizer`: a repository without
 * weights. `file`: a chat template, a grammar, or any other file that is no model.
 */
export type Holds = "model" | "projector" | "adapter" | "speech" | "tokenizer" | "file";

/** A source without a shape: its files and their size are all that matters. */
export interface LockedPart extends LockedSource {
  holds: Exclude<Holds, "model">;
}

/** One tensor of the experts of layers in a row, in which it has as many bytes. */
export interface ExpertTensor {
  /** `ffn_up_exps` of a GGUF, `experts` for all of a layer's in safetensors. */
  tensor: string;
  /** The first of the layers, from 0. */
  first: number;
  layers: number;
  /** In each of them. */
  bytes: number;
}

/** A model in safetensors or GGUF. */
export interface LockedModel extends LockedSource {
  format: "gguf" | "safetensors";
  /** Of these, the repeating layers. llama.cpp offloads layer by layer. */
  layerBytes: number;
  /** Of these, the input embedding where the output has a matrix of its own: llama.cpp keeps it in the host's memory. 0 where both share one. */
  inputBytes: number;
  /** `general.file_type` by name (Q4_K_M) or the torch dtype (bfloat16, fp8, awq …). */
  quantization: string;
  /** Of the layers' bytes those of experts. Absent in dense models, and in locks from before it was known. */
  experts?: ExpertTensor[];
  shape: ModelShape;
}

/** The facts about a resolved source. */
export type Locked = LockedModel | LockedPart;

/** A source that could not be resolved when the lock was written, like an image without a digest. */
export interface UnresolvedModel {
  /** Why, in a sentence. */
  unresolved: string;
}

/** Source as in the stack config (`hf://owner/repo@rev/file.gguf`) to what is locked for it. */
export type ModelLock = Record<string, Locked | UnresolvedModel>;
