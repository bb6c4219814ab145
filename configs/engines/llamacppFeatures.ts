import type { Protocol } from "./engine";
import type { EngineFeatures } from "./features";

/** How each protocol reaches it. */
export const llamacppProtocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "llama-server's own route." },
  { path: "/v1/completions", how: "native", why: "llama-server's own route." },
  {
    path: "/v1/messages",
    how: "native",
    why: "llama-server serves it, and LiteLLM sends Bearer there by hosted_vllm/.",
  },
  {
    path: "/v1/messages/count_tokens",
    how: "native",
    why: "The gateway's guard asks llama-server's own tokenizer.",
  },
  { path: "/v1/responses", how: "native", why: "llama-server serves it without storing answers." },
  { path: "/v1/embeddings", how: "native", why: "With mode: embedding (--embeddings)." },
  { path: "/v1/rerank", how: "native", why: "With mode: rerank (--rerank)." },
];

/** What it says of itself in docs/features.md. */
export const features: EngineFeatures = {
  example: "file:///srv/models/model.gguf",
  known: "contract",
  ran: {
    "test/e2e/llamacpp.test.ts": [
      ...(["chat", "streaming", "messages", "responses", "embeddings"] as const),
      ...(["tools", "vision", "weights", "cpu"] as const),
    ],
    "test/e2e/imagesRecipes.test.ts": ["completions", "apiKey", "metrics"],
    "test/e2e/plannerAccuracy.test.ts": ["quantization", "kvCache"],
  },
  says: {
    tools: { cell: "by the model's chat template", known: "vendor" },
    reasoning: { cell: "by the model's chat template; `--reasoning-format`", known: "contract" },
    quantization: { cell: "in the GGUF", known: "vendor" },
    tensorParallel: { cell: "layers over devices; rows by `--split-mode`", known: "contract" },
    speculative: { cell: "`--spec-type`", known: "contract" },
    metrics: { cell: "`GET /metrics`, with the key", known: "contract" },
    drain: { cell: "no: streams are cut", known: "vendor" },
  },
};
