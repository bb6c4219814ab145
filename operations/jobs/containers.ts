import { z } from "zod";
import { output, run } from "../../platform/process";
import { EDGE_LABEL, EXPIRES_LABEL, FOLDER_LABEL, JOB_LABEL } from "./record";

/** A job's container as the engine has it. */
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

const inspected = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    State: z.object({ Status: z.string() }),
    Config: z.object({ Image: z.string(), Labels: z.record(z.string(), z.string()) }),
  }),
);

/** The containers of a stack's jobs, by their labels; of one job where it is named. Stopped ones too. */
export async function jobContainers(docker: string, stack: string, job?: string): Promise<JobContainer[]> {
  const label = job === undefined ? JOB_LABEL : `${JOB_LABEL}=${job}`;
  const filters = [`label=gpubox.stack=${stack}`, `label=${label}`].flatMap((one) => ["--filter", one]);
  const ids = await output("docker", ["-H", docker, "ps", "--all", "--quiet", "--no-trunc", ...filters]);
  if (ids === "") return [];
  // One that went away since it was listed makes the command fail, and the others are still printed.
  const { stdout } = await run("docker", ["-H", docker, "inspect", ...ids.split("\n")]);
  return inspected.parse(JSON.parse(stdout)).map(({ Id, Name, State, Config }) => ({
    id: Id,
    name: Name.replace(/^\//, ""),
    job: Config.Labels[JOB_LABEL]!,
    folder: Config.Labels[FOLDER_LABEL] ?? "",
    expiresAt: Config.Labels[EXPIRES_LABEL] ?? null,
    status: State.Status,
    image: Config.Image,
  }));
}

/** The containers of a job's edge, by their label; one at most, unless somebody made another. */
export async function jobEdges(docker: string, stack: string, job: string): Promise<string[]> {
  const filters = [`label=gpubox.stack=${stack}`, `label=${EDGE_LABEL}=${job}`];
  const ids = await output("docker", [
    ...["-H", docker, "ps", "--all", "--quiet", "--no-trunc"],
    ...filters.flatMap((one) => ["--filter", one]),
  ]);
  return ids.split("\n").filter(Boolean);
}

/** Removes a job's edge, with what it has. */
export async function removeEdge(docker: string, stack: string, job: string): Promise<void> {
  const ids = await jobEdges(docker, stack, job);
  if (ids.length > 0) await run("docker", ["-H", docker, "rm", "--force", ...ids]);
}

/**
 * MiB that the processes of a container hold resident. Undefined where the engine does not say. `docker stats` takes two
 * seconds, counts files that were read, and knows nothing where the kernel counts no memory.
 */
export async function memoryOf(docker: string, id: string): Promise<number | undefined> {
  const { code, stdout } = await run("docker", ["-H", docker, "top", id, "-eo", "pid,rss"]);
  if (code !== 0) return undefined;
  const kib = stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => Number(line.trim().split(/\s+/)[1]));
  return Math.round(kib.reduce((sum, one) => sum + one, 0) / 1024);
}
