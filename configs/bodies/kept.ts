import anthropic from "./anthropic.json";
import { BODY_ROUTES, type BodyRoute, KEPT_OF_LITELLM, MORE, NOT_KEPT, STEERING_PREFIXES } from "./judged";
import litellm from "./litellm.json";
import llamacpp from "./llamacpp.json";
import openai from "./openai.json";
import sglang from "./sglang.json";
import vllm from "./vllm.json";

const GENERATED: { routes: Partial<Record<string, string[]>> }[] = [
  ...[openai, anthropic, vllm, sglang, llamacpp, litellm],
];

/** Parameters of a route's body that an API, an engine or `MORE` defines. */
function defined(route: BodyRoute): string[] {
  return [...GENERATED.flatMap(({ routes }) => routes[route] ?? []), ...(MORE[route] ?? [])];
}

/** Kept on every route, whatever its API defines. */
const ALWAYS_KEPT = Object.keys(KEPT_OF_LITELLM).filter((name) => name !== "metadata");

/** Parameters that a route's body may contain in every stack. */
export function keptIn(route: BodyRoute): string[] {
  const names = defined(route).filter((name) => !Object.hasOwn(NOT_KEPT, name));
  return [...new Set([...names, ...ALWAYS_KEPT])].sort();
}

/** Parameters that would steer LiteLLM on any route. */
export function steeringNames(): string[] {
  const kept = new Set((Object.keys(BODY_ROUTES) as BodyRoute[]).flatMap(keptIn));
  const read = litellm.read.filter((name) => !kept.has(name));
  return [...new Set([...litellm.own, ...read])].filter((name) => !kept.has(name)).sort();
}

/** True when LiteLLM itself obeys a parameter, so that no stack may allow it. */
export function isSteering(name: string): boolean {
  return (
    litellm.own.includes(name) ||
    Object.hasOwn(KEPT_OF_LITELLM, name) ||
    STEERING_PREFIXES.some((prefix) => name.startsWith(prefix)) ||
    (litellm.read.includes(name) && steeringNames().includes(name))
  );
}
