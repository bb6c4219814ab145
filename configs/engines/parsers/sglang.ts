import type { Parsers } from "../families";

/** SGLang 0.5.23; the names differ from vLLM's. */
export const sglangParsers: Parsers = {
  engine: "SGLang",
  tools:
    "apertus2509 beam cohere_command4 deepseekv3 deepseekv31 deepseekv32 deepseekv4 deepseekv41 dots gemma4 gigachat3 gigachat35 glm glm45 glm47 gpt-oss hermes hunyuan inkling interns1 iquest_q1 k2_horizon kimi_k2 kimi_k3 lfm2 ling3 llama3 mimo minicpm5 minimax-m2 minimax-m3 mistral muse nanbeige poolside_v1 pythonic qwen qwen25 qwen3_coder response_template spark25 step3 step3p5 trinity".split(
      " ",
    ),
  reasoning:
    "apertus2509 beam cohere_command4 deepseek-r1 deepseek-v3 deepseek-v4 deepseek-v41 dots gemma4 gigachat35 glm45 gpt-oss granite_thinking_parser hunyuan inkling interns1 iquest_q1 k2_horizon kimi kimi_k2 kimi_k3 ling3 mimo minimax minimax-append-think minimax-m3 mistral muse nanbeige nemotron_3 poolside_v1 qwen3 qwen3-thinking response_template step3 step3p5".split(
      " ",
    ),
  toolsByFamily: {
    "qwen3-coder": "qwen3_coder",
    "qwen3-thinking": "qwen",
    "qwen3-instruct": "qwen",
    qwen3: "qwen",
    "qwen2.5": "qwen25",
    hermes: "hermes",
    "deepseek-v3.2": "deepseekv32",
    "deepseek-v3.1": "deepseekv31",
    "deepseek-v3": "deepseekv3",
    "deepseek-r1": "deepseekv3",
    llama4: "pythonic",
    llama3: "llama3",
    mistral: "mistral",
    magistral: "mistral",
    "kimi-k2": "kimi_k2",
    "kimi-k2-thinking": "kimi_k2",
    "glm-4.7": "glm47",
    "glm-4.5": "glm45",
    "gpt-oss": "gpt-oss",
    "gemma-4": "gemma4",
    "minimax-m2": "minimax-m2",
    hunyuan: "hunyuan",
    "step-3.5": "step3p5",
  },
  reasoningByFamily: {
    "qwen3-thinking": "qwen3-thinking",
    qwen3: "qwen3",
    "deepseek-r1": "deepseek-r1",
    "deepseek-v3.1": "deepseek-v3",
    "deepseek-v3.2": "deepseek-v3",
    magistral: "mistral",
    "kimi-k2-thinking": "kimi_k2",
    "glm-4.7": "glm45",
    "glm-4.5": "glm45",
    "gpt-oss": "gpt-oss",
    "gemma-4": "gemma4",
    "minimax-m2": "minimax",
    hunyuan: "hunyuan",
    "step-3.5": "step3p5",
  },
};
