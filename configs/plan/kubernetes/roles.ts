/** Parts of a box on a cluster, by the label `gpubox.role` of their pods. Those of models are `backend-…`. */

export const GATEWAY_ROLE = "gateway";
export const EDGE_ROLE = "edge";
export const CACHE_ROLE = "cache";
export const DATABASE_ROLE = "database";
export const MIGRATION_ROLE = "migrate";
export const BACKUP_ROLE = "backup";
export const PROOF_ROLE = "prove";
export const ACCESS_ROLE = "access";

/** The part of the pods on the other nodes of a model's server. No Service may find them: the first node answers for all. */
export function workerRoleOf(role: string): string {
  return role.replace(/^backend-/, "worker-");
}
