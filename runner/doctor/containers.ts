import { z } from "zod";
import type { ContainerFacts } from "../../configs/doctor/facts";
import type { BoxPlan } from "../../configs/plan/types";
import { run } from "../process";

/** Lines of a log that say why something ended. */
const LAST_LINES = 4;

const inspected = z.array(
  z.object({
    Name: z.string(),
    RestartCount: z.number(),
    State: z.object({
      Status: z.enum(["created", "running", "paused", "restarting", "removing", "exited", "dead"]),
      ExitCode: z.number(),
      OOMKilled: z.boolean(),
      Error: z.string(),
      Health: z.object({ Status: z.string() }).nullish(),
    }),
    Config: z.object({ Labels: z.record(z.string(), z.string()) }),
    NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()).nullish() }),
  }),
);

const health = z.enum(["healthy", "unhealthy", "starting"]);

/** The stack's containers, stopped ones too; undefined where the engine does not say. */
export async function containersOf({ docker, stack }: BoxPlan): Promise<ContainerFacts[] | undefined> {
  const list = await run("docker", ["-H", docker, "ps", "-aq", "--filter", `label=gpubox.stack=${stack}`]);
  if (list.code !== 0) return undefined;
  const ids = list.stdout.split("\n").filter(Boolean);
  if (ids.length === 0) return [];
  const [details, stats] = await Promise.all([
    run("docker", ["-H", docker, "inspect", ...ids]),
    statsOf(docker, ids),
  ]);
  // One that went away since it was listed makes the command fail, and the others are still printed.
  const found = inspected.parse(JSON.parse(details.stdout)).map(({ State, ...one }) => {
    const name = one.Name.replace(/^\//, "");
    return {
      name,
      role: one.Config.Labels["gpubox.role"] ?? "",
      state: State.Status,
      health: health.safeParse(State.Health?.Status).data,
      exitCode: State.ExitCode,
      oomKilled: State.OOMKilled,
      restarts: one.RestartCount,
      error: State.Error,
      networks: Object.keys(one.NetworkSettings.Networks ?? {}),
      generation: one.Config.Labels["gpubox.generation"],
      ...stats[name],
    };
  });
  return Promise.all(found.map((one) => withLastWords(docker, one)));
}

async function withLastWords(docker: string, one: ContainerFacts): Promise<ContainerFacts> {
  const ails =
    one.state === "restarting" || one.health === "unhealthy" || (one.state === "exited" && one.exitCode);
  if (!ails) return one;
  const { stdout, stderr } = await run("docker", [
    "-H",
    docker,
    "logs",
    "--tail",
    String(LAST_LINES),
    one.name,
  ]);
  return {
    ...one,
    lastWords: `${stdout}${stderr}`
      .replace(/[\p{Cc}\s]+/gu, " ")
      .trim()
      .slice(-300),
  };
}

const stat = z.object({ Name: z.string(), CPUPerc: z.string(), MemPerc: z.string() });

async function statsOf(docker: string, ids: string[]) {
  const args = ["-H", docker, "stats", "--no-stream", "--format", "{{json .}}", ...ids];
  const { stdout } = await run("docker", args, { timeoutMs: 20_000 });
  const lines = stdout.split("\n").filter(Boolean);
  const entries = lines.map((line) => {
    const { Name, CPUPerc, MemPerc } = stat.parse(JSON.parse(line));
    return [
      Name,
      { cpuPercent: Number.parseFloat(CPUPerc), memoryPercent: Number.parseFloat(MemPerc) },
    ] as const;
  });
  return Object.fromEntries(entries.filter(([, { cpuPercent }]) => Number.isFinite(cpuPercent)));
}

/** Names of the host's networks. */
export async function networksOf(docker: string): Promise<string[] | undefined> {
  const list = await run("docker", ["-H", docker, "network", "ls", "--format", "{{.Name}}"]);
  return list.code === 0 ? list.stdout.split("\n").filter(Boolean) : undefined;
}
