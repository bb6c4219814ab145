import type { z } from "zod";
import { cloud } from "./cloud";
import type { Engine } from "./engine";
import { llamacpp } from "./llamacpp";
import { openai } from "./openai";

/** Every engine that a model entry can name. */
export const engines = { llamacpp, openai, cloud };

export type EngineName = keyof typeof engines;

/** A parsed model entry of any engine. */
export type ModelConfig = { [Name in EngineName]: z.infer<(typeof engines)[Name]["schema"]> }[EngineName];

/** Engines of the design that this version cannot run yet; naming one is refused with a way out. */
export const plannedEngines = [
  "vllm",
  "ollama",
  "sglang",
  "tensorrt-llm",
  "text-embeddings-inference",
  "speaches",
];

/** The engine of an entry, typed for any entry: an entry is only ever given to its own engine. */
export function engineOf(model: ModelConfig): Engine<ModelConfig> {
  return engines[model.engine] as unknown as Engine<ModelConfig>;
}
