import type { Protocol } from "./engine";
import type { EngineFeatures } from "./features";

/** How each protocol reaches vLLM. */
export const vllmProtocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "vLLM's own route." },
  { path: "/v1/completions", how: "native", why: "vLLM's own route." },
  {
    path: "/v1/messages",
    how: "native",
    why: "vLLM refuses x-api-key, which anthropic/ sends; hosted_vllm/ with supported_endpoints sends Bearer.",
  },
  { path: "/v1/messages/count_tokens", how: "native", why: "The gateway's guard asks vLLM's own tokenizer." },
  {
    path: "/v1/responses",
    how: "native",
    why: "vLLM's own route; answers are not stored, so previous_response_id fails.",
  },
  { path: "/v1/embeddings", how: "native", why: "With mode: embedding." },
  { path: "/v1/rerank", how: "native", why: "With mode: rerank." },
];

/** What vLLM says of itself. */
export const features: EngineFeatures = {
  example: "hf://Qwen/Qwen3-8B",
  known: "contract",
  ran: {
    "test/e2e/vllm.test.ts": [
      ...(["chat", "streaming", "messages", "tools", "reasoning", "embeddings", "rerank", "lora"] as const),
      ...(["responses", "countTokens", "kvCache", "prefixCache", "metrics", "weights", "cpu"] as const),
    ],
  },
  says: {
    transcriptions: { cell: "native; the CUDA image lacks its libraries", known: "vendor" },
    metrics: { cell: "`GET /metrics`", known: "contract" },
  },
};
