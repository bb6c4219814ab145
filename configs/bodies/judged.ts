/** Manually reviewed body parameters, each with a reason. The *.json files are generated from SDKs and engines. */

/** Routes by the end of their path, with the protocol whose form an answer has. */
export const BODY_ROUTES = {
  "chat/completions": "openai",
  completions: "openai",
  embeddings: "openai",
  rerank: "openai",
  responses: "openai",
  "responses/input_tokens": "openai",
  "responses/compact": "openai",
  messages: "anthropic",
  "messages/count_tokens": "anthropic",
  "audio/speech": "openai",
  "audio/transcriptions": "openai",
  "audio/translations": "openai",
  "images/generations": "openai",
  "images/edits": "openai",
  moderations: "openai",
} as const;

export type BodyRoute = keyof typeof BODY_ROUTES;

/** Routes whose streams LiteLLM breaks: it answers 500, or puts a stream's events into a transcript. */
export const WHOLE_ROUTES: readonly BodyRoute[] = [
  "audio/transcriptions",
  "images/generations",
  "images/edits",
];

/** Parameters of servers of diffusion models, vLLM-Omni among them. */ const PAINTERS = [
  "negative_prompt",
  "seed",
  "num_inference_steps",
  "guidance_scale",
  "true_cfg_scale",
];

/** Further parameters of providers behind LiteLLM, and of engines whose releases cannot be read. */
export const MORE: Partial<Record<BodyRoute, string[]>> = {
  "chat/completions": [
    // OpenAI's, in models and SDKs before the pinned one, and Anthropic's through the same route.
    ...["thinking", "reasoning", "top_k", "stop_sequences", "instructions", "cache_control"],
    // vLLM and SGLang before structured_outputs.
    ...["guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend"],
    ...["guided_whitespace_pattern", "structural_tag", "enable_thinking", "best_of", "json_schema", "suffix"],
    // Ollama.
    ...["think", "format", "num_predict", "num_keep", "tfs_z", "penalize_newline"],
    // TensorRT-LLM.
    ...[
      "beam_width",
      "early_stopping",
      "no_repeat_ngram_size",
      "top_p_min",
      "top_p_reset_ids",
      "top_p_decay",
    ],
    ...["prompt_ignore_length", "embedding_bias", "detokenize", "return_context_logits", "guided_decoding"],
    ...["lookahead_config", "return_perf_metrics"],
    // Gemini.
    ...["safety_settings", "safetySettings"],
  ],
  completions: [
    ...["guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend"],
    ...["guided_whitespace_pattern", "structural_tag", "format", "num_predict", "num_keep", "tfs_z"],
    ...[
      "beam_width",
      "early_stopping",
      "no_repeat_ngram_size",
      "top_p_min",
      "top_p_reset_ids",
      "top_p_decay",
    ],
    ...["prompt_ignore_length", "embedding_bias", "detokenize", "return_context_logits", "guided_decoding"],
    ...["lookahead_config", "return_perf_metrics"],
  ],
  // text-embeddings-inference and Cohere.
  embeddings: ["truncate", "truncation_direction", "normalize", "prompt_name", "input_type"],
  rerank: ["raw_scores", "return_text", "truncate", "truncation_direction", "user"],
  responses: ["top_k", "min_p"],
  // speaches.
  "audio/speech": ["sample_rate", "stream", "language", "lang"],
  "audio/transcriptions": [
    ...["hotwords", "without_timestamps", "vad_filter", "word_timestamps", "timestamp_granularities[]"],
    ...["include[]", "languages[]", "keywords[]", "known_speaker_names[]", "known_speaker_references[]"],
  ],
  "images/generations": PAINTERS,
  "images/edits": ["image[]", "mask[]", ...PAINTERS],
};

/** Parameters that an API or engine defines and the guard drops. `allowParameters` can allow one unless LiteLLM itself obeys it. */
export const NOT_KEPT: Record<string, string> = {
  fallbacks: "LiteLLM obeys it before Anthropic sees it",
  workspace_id: "LiteLLM obeys it before Anthropic sees it",
  litellm_metadata: "LiteLLM's own",
  mcp_servers: "it names servers that somebody else calls",
  id: "llama.cpp reads it of an answer",
  action: "llama.cpp reads it of its admin routes",
  verbose: "the server's log would hold the prompt",
  id_slot: "it picks the slot, and with it the cache, of somebody else",
  conversation_ids: "they are of somebody else too",
  session_id: "the gateway balances; sessions of servers are of somebody else too",
  session_params: "it goes on with the cache of somebody else",
  rid: "two requests of one name answer each other",
  request_id: "two requests of one name answer each other",
  priority: "a request would overtake those of others",
  lora: "an adapter is a model with a name of its own",
  lora_path: "an adapter is a model with a name of its own",
  chat_template: "it is a program, and runs in the server",
  custom_logit_processor: "it is a program, and runs in the server",
  logits_processors: "it is a program, and runs in the server",
  prompt_embeds: "it is a serialized tensor",
  mm_payload: "it is serialized, and for servers among themselves",
  kv_transfer_params: "it names hosts that the server connects to",
  ec_transfer_params: "it names hosts that the server connects to",
  bootstrap_host: "it names hosts that the server connects to",
  bootstrap_port: "it names hosts that the server connects to",
  bootstrap_room: "it is for servers among themselves",
  data_parallel_rank: "the server balances",
  routed_dp_rank: "the server balances",
  disagg_prefill_dp_rank: "it is for servers among themselves",
  sse_ping_interval: "it is an answer's form, and a gateway between would time out",
};

/** LiteLLM keywords that the APIs also define, and that stay. The guard checks their values. */
export const KEPT_OF_LITELLM: Record<string, string> = {
  model: "a name of the list; lists and commas are refused",
  metadata: "the client's notes; the keys that steer are left out",
  cache: "with a cache of answers: whether to use it, in bounds",
  litellm_session_id: "the session of the trajectory log and of sticky routing",
  litellm_trace_id: "the trace that the request is logged under",
};

/** Keys that LiteLLM reads in `metadata` and a client may set. */
export const KEPT_METADATA: Record<string, string> = {
  tags: "picks among a model's instances, and labels spend",
  session_id: "the session of the trajectory log and of sticky routing",
  trace_id: "the trace that the request is logged under",
  user_id: "Anthropic defines it",
};

/** Keys of `metadata` that only integrations read, and that could change other clients' logs. */
export const STEERING_METADATA = ["existing_trace_id", "update_trace_keys", "parent_observation_id"];

/** Prefixes of names that always belong to LiteLLM. */
export const STEERING_PREFIXES = [
  ...["_", "litellm_", "mock_", "user_api_key", "langfuse_", "langsmith_", "aws_", "azure_", "vertex_"],
  ...["metadata[", "cache["],
];

/** Header fields of LiteLLM that a client may send; every other one is left out. */
export const KEPT_HEADERS = [
  "x-litellm-session-id",
  "x-litellm-trace-id",
  "x-litellm-call-id",
  "x-litellm-tags",
  "x-litellm-api-key",
];
