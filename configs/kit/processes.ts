import type { ImageRole } from "./imageRoles";

/** What a model server may have: some start several threads for each core of the host and for each GPU. */
export const SERVER_PROCESSES = 8192;

/** What a short-lived container may have that writes files, downloads, migrates or asks. */
export const STEP_PROCESSES = 1024;

/** The box's own containers, one to three orders of magnitude above what each was seen to take. */
const PROCESSES: Partial<Record<ImageRole, number>> = {
  gateway: 2048,
  edge: 512,
  cache: 256,
  database: 1024,
  prometheus: 1024,
  alertmanager: 512,
  grafana: 1024,
  "node-exporter": 512,
  "redis-exporter": 512,
  "postgres-exporter": 512,
  "dcgm-exporter": 1024,
  acme: 256,
};

/** Processes and threads, which the kernel counts as one, that a container may have at most. */
export function processesOf(role: ImageRole): number {
  return PROCESSES[role] ?? SERVER_PROCESSES;
}

/** The option of `docker run` that bounds a short-lived container. */
export const STEP_LIMIT = `--pids-limit ${STEP_PROCESSES}`;
