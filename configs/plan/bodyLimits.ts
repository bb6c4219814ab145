import { engineOf, type ModelConfig } from "../engines";
import { lockedModel } from "../models/lock";
import type { LimitsConfig } from "../schema/limits";
import { instancesOf } from "../stack/instances";
import type { PlanContext } from "./context";
import { ANY_BODIES, type BodyLimits } from "./haproxy/bodies";

const MIB = 1024 ** 2;

/** Bytes of JSON for a token: a word of text has about five, and a character may be written in six. */
const TOKEN_BYTES = 16;
/** Allowance for everything but the prompt: tools, schemas, the JSON itself. */
const BASE_BYTES = MIB;
/** Allowance for images in a request: as much as Anthropic's own API accepts. */
const IMAGE_BYTES = 32 * MIB;
/** Texts of the longest context that a request for embeddings may carry. */
const BATCH = 32;
/** A request for embeddings may carry many short texts, whatever the model's context is. */
const LEAST_BATCH_BYTES = 4 * MIB;
/** Assumed context when none is known: no available model has a longer one. */
const UNKNOWN_TOKENS = 1_048_576;

/** Maximum body sizes at the edge in bytes: the declared ones, else what the largest of the models can use. */
export function bodyLimits(context: Pick<PlanContext, "config" | "lock">): BodyLimits {
  const { models, gateway } = context.config;
  const of = (kind: keyof BodyLimits) =>
    Object.entries(models)
      .filter(([, model]) => kindOf(model) === kind)
      .map(([name, model]) => modelBytes(context, name, model));
  const largest = (kind: keyof BodyLimits, least: number) =>
    declared(gateway.limits, kind) ?? Math.max(least, ...of(kind));
  const more = (kind: "audio" | "images") =>
    Object.values(models).some((model) => kindOf(model) === kind)
      ? { [kind]: largest(kind, ANY_BODIES[kind]) }
      : {};
  return {
    chat: largest("chat", 2 * MIB),
    embeddings: largest("embeddings", LEAST_BATCH_BYTES),
    ...more("audio"),
    ...more("images"),
  };
}

/** Bytes that a body for one model may have: on its published port, and in its jobs. */
export function modelBodyBytes(
  context: Pick<PlanContext, "config" | "lock">,
  name: string,
  model: ModelConfig,
): number {
  return declared(context.config.gateway.limits, kindOf(model)) ?? modelBytes(context, name, model);
}

function declared({ maxBodyMiB }: LimitsConfig, kind: keyof BodyLimits): number | undefined {
  const mib = maxBodyMiB[kind];
  return mib === undefined ? undefined : mib * MIB;
}

function kindOf({ mode }: ModelConfig): keyof BodyLimits {
  if (mode === "embedding" || mode === "rerank" || mode === "moderation") return "embeddings";
  if (mode === "image_generation") return "images";
  return mode === "audio_transcription" || mode === "audio_speech" ? "audio" : "chat";
}

function modelBytes({ lock }: Pick<PlanContext, "lock">, name: string, model: ModelConfig): number {
  const kind = kindOf(model);
  if (kind === "audio" || kind === "images") return ANY_BODIES[kind];
  const needs = instancesOf(name, model).map((instance) => {
    const locked = lock && lockedModel(lock, instance.model.model ?? "");
    const { info = {} } = engineOf(instance.model).route(instance.model, { name, locked }, "");
    const { max_input_tokens: said, supports_vision: sees } = info;
    const tokens = typeof said === "number" ? said : locked?.shape.contextLength || UNKNOWN_TOKENS;
    if (kind === "embeddings") return Math.max(LEAST_BATCH_BYTES, roundUp(tokens * TOKEN_BYTES * BATCH));
    // Without a lock it is unknown whether a model takes images, but llama.cpp never does without a projector.
    const images = sees === true || (locked === undefined && model.engine !== "llamacpp");
    return roundUp(BASE_BYTES + tokens * TOKEN_BYTES) + (images ? IMAGE_BYTES : 0);
  });
  const most = kind === "embeddings" ? ANY_BODIES.embeddings : Number.POSITIVE_INFINITY;
  return Math.min(Math.max(...needs), most);
}

/** Rounds up to a power of two, so that few edits of a model change the files of the edge and its valve. */
function roundUp(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes));
}
