import anthropic from "../bodies/anthropic.json";
import {
  type BodyRoute,
  KEPT_HEADERS,
  KEPT_METADATA,
  KEPT_OF_LITELLM,
  MORE,
  NOT_KEPT,
  ROUTES,
  STEERING_METADATA,
  STEERING_PREFIXES,
} from "../bodies/judged";
import litellm from "../bodies/litellm.json";
import llamacpp from "../bodies/llamacpp.json";
import openai from "../bodies/openai.json";
import sglang from "../bodies/sglang.json";
import vllm from "../bodies/vllm.json";
import type { StackConfig } from "../schema/stack";
import { assetFiles, type PlanContext } from "./context";
import { configFile, stableJson } from "./text";
import type { FilePlan } from "./types";

/** The guard's files, side by side in the directory of LiteLLM's config, which is where LiteLLM looks for them. */
export const GUARD_ASSETS: Record<string, string> = Object.fromEntries(
  ["gpubox_guard", "guard_answers", "guard_body", "guard_cache", "guard_front", "guard_install"]
    .concat(["guard_redirects", "guard_streams"])
    .map((module) => [`${module}.py`, `guard/${module}.py`]),
);

/** The guard, as LiteLLM's `callbacks` name it. */
export const GUARD_CALLBACK = "gpubox_guard.instance";

/** What guard.json says. */
export interface GuardRules {
  /** Route to what its body may say. */
  routes: Record<string, { api: string; keep: string[] }>;
  /** Names by which LiteLLM itself would be steered: refused. */
  steering: string[];
  prefixes: string[];
  /** Keys of `metadata` by which it would be. */
  metadata: string[];
  headers: string[];
  /** Of what nobody defines: left out, or refused. */
  unknown: "drop" | "refuse";
  /** Null: no answer is cached. */
  cache: { scope: string; ttlSeconds: number } | null;
}

const GENERATED: { routes: Partial<Record<string, string[]>> }[] = [
  ...[openai, anthropic, vllm, sglang, llamacpp, litellm],
];

/** What an API, an engine or a person has defined for a route's body. */
function defined(route: BodyRoute): string[] {
  return [...GENERATED.flatMap(({ routes }) => routes[route] ?? []), ...(MORE[route] ?? [])];
}

/** Whatever an API says of them. */
const ALWAYS_KEPT = Object.keys(KEPT_OF_LITELLM).filter((name) => name !== "metadata");

/** What a route's body may say in every stack. */
export function keptIn(route: BodyRoute): string[] {
  const names = defined(route).filter((name) => !Object.hasOwn(NOT_KEPT, name));
  return [...new Set([...names, ...ALWAYS_KEPT])].sort();
}

/** Names by which LiteLLM would be steered on any route. */
export function steeringNames(): string[] {
  const kept = new Set((Object.keys(ROUTES) as BodyRoute[]).flatMap(keptIn));
  const read = litellm.read.filter((name) => !kept.has(name));
  return [...new Set([...litellm.own, ...read])].filter((name) => !kept.has(name)).sort();
}

/** True where LiteLLM obeys a parameter itself: nobody may let it through. */
export function isSteering(name: string): boolean {
  return (
    litellm.own.includes(name) ||
    Object.hasOwn(KEPT_OF_LITELLM, name) ||
    STEERING_PREFIXES.some((prefix) => name.startsWith(prefix)) ||
    (litellm.read.includes(name) && steeringNames().includes(name))
  );
}

/** The rules of a stack's gateways. */
export function guardRules({ gateway, cache }: Pick<StackConfig, "gateway" | "cache">): GuardRules {
  const routes = Object.fromEntries(
    (Object.keys(ROUTES) as BodyRoute[]).map((route) => [
      route,
      { api: ROUTES[route], keep: [...new Set([...keptIn(route), ...gateway.allowParameters])].sort() },
    ]),
  );
  const metadata = [...litellm.metadata, ...litellm.own, ...STEERING_METADATA].filter(
    (name) => !Object.hasOwn(KEPT_METADATA, name),
  );
  return {
    routes,
    steering: steeringNames(),
    prefixes: STEERING_PREFIXES,
    metadata: [...new Set(metadata)].sort(),
    headers: KEPT_HEADERS,
    unknown: gateway.dropParams ? "drop" : "refuse",
    cache: cache.ttlSeconds ? { scope: cache.scope, ttlSeconds: cache.ttlSeconds } : null,
  };
}

/** The guard and its rules. */
export function guardFiles(context: PlanContext, config: StackConfig): Record<string, FilePlan> {
  return {
    ...assetFiles(context, GUARD_ASSETS),
    "guard.json": configFile(`${stableJson(guardRules(config))}\n`),
  };
}
