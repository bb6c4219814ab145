import type { BodyRoute } from "../bodies/judged";
import { keptIn } from "../bodies/kept";
import { nestsExtraBody, onlyInChats } from "../bodies/presets";
import type { ModelConfig } from "../engines";
import { nearest, type Problem } from "../kit/problems";
import known from "../litellm/keys.json";
import { type ModelMap, OWNED_KEYS, REFUSED_KEYS } from "../litellm/modelKeys";
import { flawOfValue } from "../litellm/modelValues";
import { steering } from "../litellm/steering";
import type { Mode } from "../schema/model";
import { secretRef } from "../schema/shared";
import type { StackConfig } from "../stack/config";
import { instancesOf } from "../stack/instances";

const READ: Record<ModelMap, string[]> = { params: known.litellm_params, info: known.model_info };

/** The route whose parameters a model may preset. */
const ROUTE: Record<Mode, BodyRoute> = {
  chat: "chat/completions",
  completion: "completions",
  embedding: "embeddings",
  rerank: "rerank",
  audio_transcription: "audio/transcriptions",
  audio_speech: "audio/speech",
  image_generation: "images/generations",
  moderation: "moderations",
};

/** Mistakes in the `params` and `info` of models: LiteLLM takes every key, and sends unknown ones to the model's server. */
export function checkModelMaps({ models }: StackConfig): Problem[] {
  return Object.entries(models).flatMap(([name, entry]) => {
    const places = [
      { path: `gpubox:models.${name}`, maps: entry },
      ...(entry.instances ?? []).map((maps, index) => ({
        path: `gpubox:models.${name}.instances[${index}]`,
        maps,
      })),
    ];
    return [
      ...places.flatMap(({ path, maps }) => [
        ...checkMap("params", maps.params, entry.mode, `${path}.params`),
        ...checkMap("info", maps.info, entry.mode, `${path}.info`),
      ]),
      ...instancesOf(name, entry).flatMap(({ path, model }) => lost(model, `gpubox:models.${name}${path}`)),
    ];
  });
}

/** Keys that would not reach the model's server. */
function lost(model: ModelConfig, path: string): Problem[] {
  const { params } = model;
  if ("messages" in model && model.messages === "native" && onlyInChats(params).length > 0)
    return [
      {
        path: `${path}.messages`,
        what: `LiteLLM passes a request on to the server's own /v1/messages without ${onlyInChats(params).join(", ")} of params.`,
        fix: "Write messages: translated, or take these keys out.",
      },
    ];
  if (params?.extra_body === undefined || model.engine !== "cloud" || !nestsExtraBody(model.model ?? ""))
    return [];
  return [
    {
      path: `${path}.params.extra_body`,
      what: "LiteLLM sends it to this provider as a key of that name, which the provider refuses.",
      fix: "Write the keys that it holds under params themselves.",
    },
  ];
}

function checkMap(map: ModelMap, values: Record<string, unknown> = {}, mode: Mode, path: string): Problem[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const at = `${path}.${key}`;
    const refused = refusal(map, key, value, mode, at);
    if (refused) return [refused];
    const steered = steering(value, at, key);
    if (steered.length > 0) return steered;
    const secrets = map === "info" ? secretsInInfo(value, at) : misplacedSecrets(value, at);
    if (secrets.length > 0) return secrets;
    const fix = flawOfValue(map, key, value);
    return fix === undefined
      ? []
      : [{ path: at, what: "The value is not one that LiteLLM takes here.", fix }];
  });
}

function refusal(map: ModelMap, key: string, value: unknown, mode: Mode, path: string): Problem | undefined {
  const own = OWNED_KEYS[map];
  if (Object.hasOwn(own, key)) return { path, what: `${key} is set by gpubox.`, fix: `Use ${own[key]}.` };
  const found = REFUSED_KEYS[map].find(({ keys, when = () => true }) => keys.test(key) && when(value));
  if (found) return { path, what: found.why, fix: found.fix };
  return knownKeys(map, mode).includes(key) ? undefined : unknown(map, key, mode, path);
}

/** What a map may hold: LiteLLM's own keys, and as `params` whatever an API or an engine defines for the model's route. */
function knownKeys(map: ModelMap, mode: Mode): string[] {
  return map === "info" ? READ.info : [...READ.params, ...keptIn(ROUTE[mode])];
}

function unknown(map: ModelMap, key: string, mode: Mode, path: string): Problem {
  const what = `LiteLLM ${known.version} has no key "${key}" for a model's ${map}.`;
  const other = map === "info" ? "params" : "info";
  if (knownKeys(other, mode).includes(key)) return { path, what, fix: `It belongs under ${other}.` };
  const own = OWNED_KEYS[map];
  const near = nearest(key, [...knownKeys(map, mode), ...Object.keys(own)]);
  if (near && Object.hasOwn(own, near))
    return { path, what, fix: `Did you mean "${near}"? Use ${own[near]}.` };
  if (near) return { path, what, fix: `Did you mean "${near}"?` };
  const fix =
    map === "info" ? "Remove it." : "Remove it, or write what the server alone knows into extra_body: { … }.";
  return { path, what, fix };
}

/** LiteLLM puts secrets in as values of maps, and not as elements of lists. */
function misplacedSecrets(value: unknown, path: string): Problem[] {
  if (Array.isArray(value))
    return value.flatMap((inner, index) => {
      const at = `${path}[${index}]`;
      if (!namesSecret(inner)) return misplacedSecrets(inner, at);
      return [
        {
          path: at,
          what: "LiteLLM puts no secret into a list.",
          fix: "Name it as the value of a key.",
        },
      ];
    });
  if (typeof value !== "object" || value === null) return [];
  if (!namesSecret(value))
    return Object.entries(value).flatMap(([key, inner]) => misplacedSecrets(inner, `${path}.${key}`));
  const { error } = secretRef.safeParse(value);
  return error ? [{ path, what: "It names no secret.", fix: error.issues[0]!.message }] : [];
}

function secretsInInfo(value: unknown, path: string): Problem[] {
  if (typeof value !== "object" || value === null) return [];
  if (namesSecret(value))
    return [{ path, what: "LiteLLM shows a model's info to its clients.", fix: "Write the value itself." }];
  return Object.entries(value).flatMap(([key, inner]) => secretsInInfo(inner, `${path}.${key}`));
}

function namesSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).join() === "secret";
}
