import type { z } from "zod";
import type { StepPlan } from "../plan/types";
import type { Problem } from "../problems";
import type { SecretRef } from "../schema/shared";

/** LiteLLM's side of a model: what goes into `litellm_params` and `model_info`. */
export interface Route {
  /** Provider prefix and the backend's served name, `hosted_vllm/qwen3`. */
  model: string;
  /** Absent: the provider's own. */
  apiBase?: string;
  apiVersion?: string;
  /** Absent: the backend wants no key. */
  apiKey?: SecretRef;
  /** How often LiteLLM tries again after a failure; absent: its own default. */
  retries?: number;
  /** Paths that the backend serves natively; LiteLLM translates the others. */
  supportedEndpoints?: string[];
}

/** The part of a backend's container that only its engine knows. */
export interface EngineContainer {
  entrypoint: string[];
  command: string[];
  env: Record<string, string>;
  port: number;
  /** Path that answers 200 only when the model is loaded. */
  healthPath: string;
  memoryMiB: number;
  /** Seconds from start to healthy. */
  readySeconds: number;
  stopGraceSeconds: number;
  /** Seconds that a request waits at the valve while this backend is away. */
  holdSeconds: number;
  /** File on the host that it serves; it is mounted read-only. */
  modelFile: string;
  weights?: StepPlan;
}

export interface EngineContext {
  /** Public name of the model. */
  name: string;
  /** Directory on the host that holds model files, shared by all backends. */
  modelsDir: string;
  /** Port that its server listens on. */
  port: number;
  /** Image with sh and curl that writes model files to the host. */
  toolsImage: string;
  /** True where no model hub answered and the entry names an offline stand-in. */
  offline: boolean;
}

/**
 * An engine: everything that one kind of model server needs, in one file. Adding one means that file and a line in
 * `configs/engines/index.ts`.
 */
export interface Engine<Model extends { engine: string }> {
  schema: z.ZodType<Model>;
  /** Keys of the schema, for the nearest-name hint. */
  keys: string[];
  /** Mistakes that the schema cannot see. `path` is the entry's. */
  check(model: Model, path: string): Problem[];
  /** The container that serves it; absent for servers that already run elsewhere. */
  container?(model: Model, context: EngineContext): EngineContainer;
  /** `upstream` is the valve's URL up to and without `/v1`, for engines that have a container. */
  route(model: Model, context: EngineContext, upstream: string): Route;
}
