import { readFileSync } from "node:fs";
import { join } from "node:path";
import anthropic from "../../configs/bodies/anthropic.json";
import {
  BODY_ROUTES,
  type BodyRoute,
  KEPT_METADATA,
  KEPT_OF_LITELLM,
  NOT_KEPT,
} from "../../configs/bodies/judged";
import { keptIn, steeringNames } from "../../configs/bodies/kept";
import litellm from "../../configs/bodies/litellm.json";
import llamacpp from "../../configs/bodies/llamacpp.json";
import openai from "../../configs/bodies/openai.json";
import sglang from "../../configs/bodies/sglang.json";
import vllm from "../../configs/bodies/vllm.json";

// That the lists are what the pinned releases say is checked by engineSources.test.ts.
const routes = Object.keys(BODY_ROUTES) as BodyRoute[];
const releases: { routes: Record<string, string[]> }[] = [openai, anthropic, vllm, sglang, llamacpp, litellm];
const defined = new Set(releases.flatMap((release) => Object.values(release.routes).flat()));

test("every parameter that an API or an engine defines and LiteLLM itself obeys has been judged", () => {
  const both = litellm.own.filter((name) => defined.has(name));
  const judged = (name: string) => Object.hasOwn(NOT_KEPT, name) || Object.hasOwn(KEPT_OF_LITELLM, name);
  expect(both.filter((name) => !judged(name))).toEqual([]);
});

test("a body may contain only those parameters of LiteLLM that were judged harmless", () => {
  const kept = new Set(routes.flatMap(keptIn));
  expect(litellm.own.filter((name) => kept.has(name)).sort()).toEqual(Object.keys(KEPT_OF_LITELLM).sort());
});

test("every judgement is of a name that somebody defines today", () => {
  const everything = new Set([
    ...defined,
    ...litellm.own,
    ...litellm.read,
    "logits_processors",
    "id_slot",
    "sse_ping_interval",
  ]);
  expect(Object.keys(NOT_KEPT).filter((name) => !everything.has(name))).toEqual([]);
  expect(Object.keys(KEPT_OF_LITELLM).filter((name) => !litellm.own.includes(name))).toEqual([]);
  expect(Object.keys(KEPT_METADATA).filter((name) => !litellm.metadata.includes(name))).toEqual([]);
});

test("the attacks of the review stay refused, whatever the lists become", () => {
  const sent = [
    ...[
      "api_base",
      "base_url",
      "api_key",
      "api_version",
      "custom_llm_provider",
      "extra_headers",
      "headers",
      "extra_body",
    ],
    ...[
      "cache_key",
      "caching",
      "ttl",
      "mock_response",
      "mock_timeout",
      "mock_testing_fallbacks",
      "user_config",
    ],
    ...[
      "model_list",
      "fallbacks",
      "context_window_fallbacks",
      "router_settings_override",
      "litellm_metadata",
    ],
    ...[
      "langfuse_host",
      "langfuse_secret_key",
      "drop_params",
      "allowed_openai_params",
      "organization",
      "timeout",
    ],
    ...[
      "num_retries",
      "no-log",
      "guardrails",
      "specific_deployment",
      "input_cost_per_token",
      "tags",
      "metadata_x",
    ],
    ...[
      "callbacks",
      "success_callback",
      "proxy_server_request",
      "disable_fallbacks",
      "prompt_id",
      "vertex_credentials",
    ],
  ];
  expect(sent.filter((name) => !steeringNames().includes(name))).toEqual(["metadata_x"]);
});

test("OpenAI's routes are those of the SDK that the gateway's image has", () => {
  const requirements = readFileSync(join(__dirname, "../../images/gateway/requirements.txt"), "utf8");
  expect(requirements).toContain(`openai==${openai.version} `);
  expect(requirements).toContain(`litellm==${litellm.version} `);
});

test.each([
  [
    "chat/completions",
    ["temperature", "tools", "response_format", "top_k", "structured_outputs", "cache_prompt", "thinking"],
  ],
  ["completions", ["prompt", "best_of", "suffix", "repetition_penalty"]],
  ["messages", ["system", "temperature", "stop_sequences", "thinking", "tools", "metadata"]],
  ["responses", ["input", "reasoning", "previous_response_id", "text"]],
  ["rerank", ["query", "documents", "top_n"]],
  ["audio/transcriptions", ["file", "language", "timestamp_granularities[]"]],
] as [BodyRoute, string[]][])("a body of %s may contain what its clients send every day", (route, names) => {
  expect(names.filter((name) => !keptIn(route).includes(name))).toEqual([]);
});
