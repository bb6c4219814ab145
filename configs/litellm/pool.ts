/** Connections for gateways: four fifths of 100, the limit of the bundled Postgres and Postgres' default. */
export const POOLED_CONNECTIONS = 80;

/** LiteLLM's own pool of connections. */
const DEFAULT_POOL = 10;

/** Connections of one gateway, so that two generations side by side stay below four fifths of Postgres' limit. */
export function connectionPool(replicas: number): number {
  return Math.min(DEFAULT_POOL, Math.floor(POOLED_CONNECTIONS / (2 * replicas)));
}
