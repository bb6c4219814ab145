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
  says: {
    audio: { cell: "transcription; the CUDA image lacks its libraries", known: "vendor" },
    metrics: { cell: "`GET /metrics`", known: "contract" },
  },
};
