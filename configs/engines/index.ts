import type { z } from "zod";
import { isLockable, type WantedSource } from "../models/lock";
import { cloud } from "./cloud";
import type { Engine, NamedSource } from "./engine";
import { fileSources } from "./files";
import { llamacpp } from "./llamacpp";
import { ollama } from "./ollama";
import { openai } from "./openai";
import { ownServer } from "./ownServer";
import { sglang } from "./sglang";
import { modelOf } from "./source";
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
  container: ownServer,
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

/** The entry with what its own `extraArgs` and `env` say of keys that decide about memory. */
export function saidBy(model: ModelConfig): ModelConfig {
  return engineOf(model).said?.(model) ?? model;
}

/** Every source of an entry that a lock can know. */
export function sourcesOf(model: ModelConfig): NamedSource[] {
  const { sources, files = {} } = engineOf(model);
  const named = [...(sources?.(model) ?? [modelOf(model)]), ...fileSources(files, model)];
  return named.filter(({ source }) => isLockable(source));
}

/** The same of a whole config. `section`: where the entries stand. */
export function wantedSources(models: Record<string, ModelConfig>, section = "models"): WantedSource[] {
  return Object.entries(models).flatMap(([name, model]) =>
    sourcesOf(model).map(({ key, ...source }) => ({ ...source, path: `gpubox:${section}.${name}.${key}` })),
  );
}
