import { keptIn } from "./kept";
import litellm from "./litellm.json";

/** What LiteLLM puts into a request that it passes on to a server's own /v1/messages. */
const ADDED_TO_MESSAGES: string[] = litellm.routes.messages;

const OF_A_CHAT = ["extra_body", ...keptIn("chat/completions")];

/**
 * The keys among a model's `params` that a server's own /v1/messages would never get: LiteLLM passes such a request on with
 * Anthropic's parameters alone. They arrive where LiteLLM makes a chat completion of it.
 */
export function onlyInChats(params: Record<string, unknown> = {}): string[] {
  return Object.keys(params).filter((key) => OF_A_CHAT.includes(key) && !ADDED_TO_MESSAGES.includes(key));
}

/**
 * True for providers whose servers would get `extra_body` as a key of that name, and refuse it. Tried with LiteLLM 1.106 and a
 * server that notes its requests: those of all other prefixes get what it holds.
 */
export function nestsExtraBody(model: string): boolean {
  return /^(anthropic|bedrock|vertex_ai\/claude)/.test(model);
}
