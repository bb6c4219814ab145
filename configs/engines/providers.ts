import { nearest, type Problem } from "../kit/problems";
import known from "../litellm/keys.json";
import table from "../litellm/providers.json";
import type { Mode } from "../schema/model";

/** What people call a provider, and LiteLLM's prefix for it. */
const CALLED: Record<string, string> = {
  ...{
    google: "gemini",
    claude: "anthropic",
    grok: "xai",
    aws: "bedrock",
    vertex: "vertex_ai",
    llamacpp: "hosted_vllm",
  },
  ...{ azure_openai: "azure", together: "together_ai", fireworks: "fireworks_ai", local: "hosted_vllm" },
};

/** What a mode asks for. Every provider that chats takes `completion`. */
const ASKED: Partial<Record<Mode, { served: string[]; what: string }>> = {
  chat: { served: table.modes.chat, what: "chats" },
  completion: { served: table.modes.chat, what: "completions" },
  embedding: { served: table.modes.embedding, what: "embeddings" },
  rerank: { served: table.modes.rerank, what: "rankings" },
  audio_transcription: { served: table.modes.audio_transcription, what: "transcriptions" },
  audio_speech: { served: table.modes.audio_speech, what: "speech" },
  image_generation: { served: table.modes.image_generation, what: "images" },
  // LiteLLM asks everybody for them by OpenAI's own client, whatever its list says of Azure.
  moderation: { served: ["openai", "hosted_vllm", "litellm_proxy"], what: "moderations" },
};

/** Mistakes in the provider of a model: a prefix that LiteLLM does not know, or one without a way to serve the mode. */
export function providerProblems(
  { provider, mode }: { provider: string; mode: Mode },
  paths: { provider: string; mode: string },
): Problem[] {
  if (!table.prefixes.includes(provider)) return [unknown(provider, paths.provider)];
  const asked = ASKED[mode];
  if (!asked || asked.served.includes(provider)) return [];
  const served = (Object.keys(table.modes) as Mode[]).filter((one) => ASKED[one]?.served.includes(provider));
  return [
    {
      path: paths.mode,
      what: `LiteLLM ${known.version} has no ${asked.what} from ${provider}/.`,
      fix:
        served.length > 0
          ? `Write mode: ${served.join(" or ")}, or use another provider.`
          : "Use another provider.",
    },
  ];
}

function unknown(provider: string, path: string): Problem {
  const near = nearest(provider, [...table.prefixes, ...Object.keys(CALLED)]);
  return {
    path,
    what: `LiteLLM ${known.version} has no provider "${provider}".`,
    fix: near
      ? `Did you mean "${CALLED[near] ?? near}"?`
      : "Write one of its prefixes, or engine: openai with the server's baseUrl.",
  };
}
