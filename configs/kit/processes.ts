import { type ImageName, type ImageRole, isOwnImage } from "./imageRoles";

/** Limit for a model server: some start several threads per core and per GPU. */
export const SERVER_PROCESSES = 8192;

/** Limit for a short-lived container that writes files, downloads, migrates or queries. */
export const STEP_PROCESSES = 1024;

/** Limits for the box's own containers, one to three orders of magnitude above their measured use. */
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
export function processesOf(role: ImageName): number {
  return (isOwnImage(role) ? undefined : PROCESSES[role]) ?? SERVER_PROCESSES;
}

/** The option of `docker run` that bounds a short-lived container. */
export const STEP_LIMIT = `--pids-limit ${STEP_PROCESSES}`;
