import { request } from "node:http";
import { z } from "zod";
import { EXPIRES_LABEL, FOLDER_LABEL, JOB_LABEL } from "../../configs/jobs/record";
import { output, run } from "../process";

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

const stats = z.object({
  memory_stats: z.object({
    usage: z.number(),
    stats: z.object({ inactive_file: z.number().optional(), total_inactive_file: z.number().optional() }),
  }),
});

/**
 * MiB that a container holds, counted as `docker stats` does: without what the kernel would give back at once. Asked from the
 * engine's socket, because the command takes two seconds. Undefined where the engine does not say.
 */
export function memoryOf(docker: string, id: string): Promise<number | undefined> {
  if (!docker.startsWith("unix://")) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const asked = request(
      {
        socketPath: docker.slice("unix://".length),
        path: `/v1.41/containers/${id}/stats?stream=false&one-shot=true`,
        timeout: 10_000,
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => {
          try {
            const { usage, stats: more } = stats.parse(
              JSON.parse(Buffer.concat(parts).toString()),
            ).memory_stats;
            const free = more.inactive_file ?? more.total_inactive_file ?? 0;
            resolve(Math.round((usage - free) / 1024 ** 2));
          } catch {
            resolve(undefined);
          }
        });
      },
    );
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
}
