import type { z } from "zod";
import { cloud } from "./cloud";
import type { Engine } from "./engine";
import { llamacpp } from "./llamacpp";
import { ollama } from "./ollama";
import { openai } from "./openai";
import { sglang } from "./sglang";
import { speaches } from "./speaches";
import { tei } from "./tei";
import { tensorrtllm } from "./tensorrtllm";
import { vllm } from "./vllm";

/** Every engine that a model entry can name. */
export const engines = {
  llamacpp,
  vllm,
  sglang,
  "tensorrt-llm": tensorrtllm,
  ollama,
  "text-embeddings-inference": tei,
  speaches,
  openai,
  cloud,
};

export type EngineName = keyof typeof engines;

/** A parsed model entry of any engine. */
export type ModelConfig = { [Name in EngineName]: z.infer<(typeof engines)[Name]["schema"]> }[EngineName];

/** The engine of an entry, typed for any entry: an entry is only ever given to its own engine. */
export function engineOf(model: ModelConfig): Engine<ModelConfig> {
  return engines[model.engine] as unknown as Engine<ModelConfig>;
}
