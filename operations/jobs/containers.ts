import { dockerAt } from "../../platform/docker/client";
import { EDGE_LABEL, EXPIRES_LABEL, FOLDER_LABEL, JOB_LABEL } from "./record";

/** A job's container according to the engine. */
export interface JobContainer {
  id: string;
  name: string;
  job: string;
  folder: string;
  expiresAt: string | null;
  /** Docker's word: running, restarting, exited, …. */
  status: string;
  image: string;
}

/** The containers of a stack's jobs, or of one named job, by their labels. Includes stopped ones. */
export async function jobContainers(docker: string, stack: string, job?: string): Promise<JobContainer[]> {
  const label = job === undefined ? JOB_LABEL : `${JOB_LABEL}=${job}`;
  const found = await dockerAt(docker).containers({ all: true, labels: [`gpubox.stack=${stack}`, label] });
  return found.map(({ Id, Name, State, Config }) => ({
    id: Id,
    name: Name,
    job: Config.Labels[JOB_LABEL]!,
    folder: Config.Labels[FOLDER_LABEL] ?? "",
    expiresAt: Config.Labels[EXPIRES_LABEL] ?? null,
    status: State.Status,
    image: Config.Image,
  }));
}

/** The containers of a job's edge, by their label. There is at most one unless somebody made another. */
export function jobEdges(docker: string, stack: string, job: string): Promise<string[]> {
  const labels = [`gpubox.stack=${stack}`, `${EDGE_LABEL}=${job}`];
  return dockerAt(docker).containerIds({ all: true, labels });
}

/** Removes a job's edge with everything that it has. */
export async function removeEdge(docker: string, stack: string, job: string): Promise<void> {
  const ids = await jobEdges(docker, stack, job);
  if (ids.length > 0) await dockerAt(docker).run(["rm", "--force", ...ids]);
}

/**
 * Resident memory of a container's processes, in MiB. Undefined when the engine does not say. `docker stats` takes two
 * seconds, counts cached files, and shows nothing where the kernel counts no memory.
 */
export async function memoryOf(docker: string, id: string): Promise<number | undefined> {
  const { code, stdout } = await dockerAt(docker).run(["top", id, "-eo", "pid,rss"]);
  if (code !== 0) return undefined;
  const kib = stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => Number(line.trim().split(/\s+/)[1]));
  return Math.round(kib.reduce((sum, one) => sum + one, 0) / 1024);
}
