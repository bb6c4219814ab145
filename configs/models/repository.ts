/** Which files of a repository an engine reads, as regular expressions over their paths. */
export interface RepositoryFiles {
  keep: string;
  skip: string;
}

/** Small files that engines read beside the weights: configs, tokenizers, chat templates, code of custom models. */
const BESIDE_WEIGHTS = "json|txt|model|jinja|tiktoken|py";

/** A transformers model: safetensors and what stands beside them, without copies of the weights in other formats. */
export const TRANSFORMERS: RepositoryFiles = {
  keep: `\\.(safetensors|${BESIDE_WEIGHTS})$`,
  skip: "^(onnx|original|openvino|coreml|gguf|metal)/",
};

/** A LoRA adapter: the same of the top folder alone, since trainers leave checkpoints below it. */
export const ADAPTER: RepositoryFiles = { keep: TRANSFORMERS.keep, skip: "/" };

/** A model's tokenizer: its small files of the top folder, without any weights. */
export const TOKENIZER: RepositoryFiles = { keep: `\\.(${BESIDE_WEIGHTS})$`, skip: "/|\\.index\\.json$" };

/** A model of speech, in whatever format, with the card that says what it is for. */
export const SPEECH: RepositoryFiles = { keep: "", skip: "^\\.git" };

/** True for a file that matches one of these patterns. */
export function isPartOf({ keep, skip }: RepositoryFiles, path: string): boolean {
  return new RegExp(keep).test(path) && !new RegExp(skip).test(path);
}
