import { engineOf } from "../engines";
import type { StackConfig } from "../schema/stack";
import { instancesOf } from "./instances";

/** Every image that a box may run: the box's own, then one for each variant of an engine. */
export const imageRoles = [
  "gateway",
  "edge",
  "cache",
  "database",
  "prometheus",
  "alertmanager",
  "grafana",
  "node-exporter",
  "redis-exporter",
  "postgres-exporter",
  "dcgm-exporter",
  "langfuse",
  "langfuse-worker",
  "clickhouse",
  "minio",
  "acme",
  "llamacpp",
  "llamacpp-cuda",
  "llamacpp-cuda13",
  "llamacpp-rocm",
  "llama-swap",
  "llama-swap-cuda",
  "llama-swap-cuda13",
  "llama-swap-rocm",
  "vllm",
  "vllm-cpu",
  "vllm-rocm",
  "sglang",
  "sglang-rocm",
  "sglang-spark",
  "tensorrt-llm",
  "ollama",
  "ollama-rocm",
  "tei-cpu",
  "tei-cpu-arm64",
  "tei-75",
  "tei-80",
  "tei-86",
  "tei-89",
  "tei-90",
  "tei-100",
  "tei-120",
  "tei-121",
  "speaches-cpu",
  "speaches-cuda",
] as const;

export type ImageRole = (typeof imageRoles)[number];

/** An image that a stack needs, and who needs it. */
export interface NeededImage {
  role: ImageRole;
  /** Public name of the first model that needs it; absent for the box's own. */
  model?: string;
  /** True for an image that the box comes up without where nobody gives it. */
  optional?: boolean;
}

/** The images that a stack's plan runs, each once. */
export function imageRolesOf(config: StackConfig): NeededImage[] {
  const needed: NeededImage[] = [{ role: "gateway" }, { role: "edge" }];
  if (config.cache.mode === "bundled") needed.push({ role: "cache" });
  if (config.database.mode === "bundled") needed.push({ role: "database" });
  needed.push(...observabilityRoles(config));
  if (config.observability.langfuse?.mode === "bundled")
    for (const role of langfuseRoles) needed.push({ role });
  if (config.gateway.tls?.acme) needed.push({ role: "acme" });
  for (const [name, entry] of Object.entries(config.models))
    for (const { model } of instancesOf(name, entry)) {
      const roles = engineOf(model).images?.(model, config.host) ?? [];
      needed.push(...roles.map((role) => ({ role, model: name })));
    }
  return needed.filter(({ role }, index) => needed.findIndex((other) => other.role === role) === index);
}

const langfuseRoles = ["langfuse", "langfuse-worker", "clickhouse", "minio", "cache", "database"] as const;

function observabilityRoles({ host, cache, database, observability }: StackConfig): NeededImage[] {
  if (observability.mode === "none") return [];
  return [
    { role: "prometheus" },
    { role: "alertmanager" },
    { role: "node-exporter" },
    { role: "grafana", optional: true },
    ...(cache.mode === "bundled" ? [{ role: "redis-exporter" } as const] : []),
    ...(database.mode === "bundled" ? [{ role: "postgres-exporter" } as const] : []),
    ...(host.gpus.some(({ vendor }) => vendor === "nvidia")
      ? [{ role: "dcgm-exporter", optional: true } as const]
      : []),
  ];
}
