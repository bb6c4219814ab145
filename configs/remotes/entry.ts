import type { BoxConfig } from "../schema/boxes";
import type { Mode } from "../schema/model";
import type { ServedModel } from "./served";

/** A model that another box serves, and that box's address. */
export interface Borrowed {
  /** Name of the box in this config. */
  box: string;
  config: BoxConfig;
  /** Base URL, including /v1. */
  baseUrl: string;
  served: ServedModel;
}

/** Seconds that this gateway waits longer than the remote one, so that clients get the remote answer and not a local timeout. */
const MARGIN_SECONDS = 30;

/** What `timeoutSeconds` may be at most. */
const MOST_SECONDS = 86_400;

/** Up to here the edge waits anyhow: a margin beyond it would make it wait longer for every box. */
const EDGE_SECONDS = 900;

/** LiteLLM's prefix for a gateway that serves the mode. */
const PROVIDERS: Partial<Record<Mode, string>> = {
  audio_transcription: "openai",
  audio_speech: "openai",
};

/**
 * An entry for a model of other boxes, as a person would write it: one instance for each box.
 *
 * @param refused aliases that another model has taken
 */
export function entryOf(models: Borrowed[], refused: ReadonlySet<string>): Record<string, unknown> {
  const served = models.map(({ served }) => served);
  const [first] = served as [ServedModel, ...ServedModel[]];
  const aliases = served.flatMap(({ aliases }) => aliases);
  const contexts = served.map(({ contextLength }) => contextLength);
  const longest = Math.max(...served.map(({ timeoutSeconds }) => timeoutSeconds));
  const most = longest > EDGE_SECONDS ? MOST_SECONDS : EDGE_SECONDS;
  return {
    engine: "openai",
    mode: first.mode,
    provider: PROVIDERS[first.mode] ?? "hosted_vllm",
    // Every box's gateway speaks both protocols.
    messages: first.mode === "chat" ? "native" : "translated",
    aliases: [...new Set(aliases)].filter((alias) => !refused.has(alias)).sort(),
    start: served.every(({ start }) => start === "manual") ? "manual" : "auto",
    timeoutSeconds: Math.min(most, longest + MARGIN_SECONDS),
    ...(first.price ? { price: first.price } : {}),
    ...(first.baseModel ? { baseModel: first.baseModel } : {}),
    ...(contexts.every((tokens) => tokens !== undefined)
      ? { contextLength: Math.min(...(contexts as number[])) }
      : {}),
    // Even for a single box: LiteLLM counts by the instance's id, which must stay when a second box gets the model.
    instances: models.map(({ box, config: { key, weight, order }, baseUrl }) => ({
      ...{ name: box, baseUrl, apiKey: key },
      ...(weight === undefined ? {} : { weight }),
      ...(order === undefined ? {} : { order }),
    })),
  };
}
