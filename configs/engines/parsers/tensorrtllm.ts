import type { Parsers } from "../families";

/** TensorRT-LLM's trtllm-serve, as far as its documentation lists them. Reasoning parsers: deepseek-r1 and qwen3 are documented. */
export const tensorrtllmParsers: Parsers = {
  engine: "TensorRT-LLM",
  tools: ["deepseek_v32", "deepseekv3", "deepseekv3.1", "kimi_k2", "qwen3", "qwen3_coder"],
  reasoning: ["deepseek-r1", "qwen3"],
  toolsByFamily: {
    "qwen3-coder": "qwen3_coder",
    "qwen3-thinking": "qwen3",
    "qwen3-instruct": "qwen3",
    qwen3: "qwen3",
    "deepseek-v3.2": "deepseek_v32",
    "deepseek-v3.1": "deepseekv3.1",
    "deepseek-v3": "deepseekv3",
    "kimi-k2": "kimi_k2",
    "kimi-k2-thinking": "kimi_k2",
  },
  reasoningByFamily: { "qwen3-thinking": "qwen3", qwen3: "qwen3", "deepseek-r1": "deepseek-r1" },
};
