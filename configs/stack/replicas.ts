import type { HostSize } from "../kit/resolved";
import { POOLED_CONNECTIONS } from "../litellm/pool";
import { MOST_REPLICAS } from "../schema/gateway";
import type { StackConfig } from "./config";
import { hasContainer } from "./instances";

/** LiteLLM computes on one core. The second is for what a request needs beside it: edge, valve, engine, Redis, Postgres. */
const CORES_EACH = 2;

/** MiB that a gateway takes with a database and some traffic (docs/bench.md: 508). */
const MIB_EACH = 512;

/** Gateways may have this part of the host's memory, two generations of them during a change: the rest is the models'. */
const MEMORY_SHARE = 1 / 4;

/**
 * Gateway containers of a generation.
 *
 * `auto` is one for each two cores of the host, as long as two generations of them take no more than a quarter of its memory, and
 * never more than what the config's other limits admit: one without Redis, no more than the smallest `maxParallel` that gateways
 * count for themselves, no more than a connection pool of one's own leaves room for.
 *
 * @param host undefined until `gpubox up` has seen it; `auto` is one then
 */
export function gatewayReplicas(config: StackConfig, host: HostSize | undefined): number {
  const { replicas } = config.gateway;
  if (replicas !== "auto") return replicas;
  if (!host || config.cache.mode === "none") return 1;
  const byMemory = (host.memoryMiB * MEMORY_SHARE) / (2 * MIB_EACH);
  const most = Math.min(MOST_REPLICAS, host.cores / CORES_EACH, byMemory, ...limitsOf(config));
  return Math.max(1, Math.floor(most));
}

function limitsOf({ gateway, models }: StackConfig): number[] {
  const pool = gateway.settings.general.database_connection_pool_limit;
  const shared = Object.values(models).flatMap((model) =>
    model.maxParallel && !hasContainer(model) ? model.maxParallel : [],
  );
  return typeof pool === "number" ? [...shared, POOLED_CONNECTIONS / (2 * pool)] : shared;
}
