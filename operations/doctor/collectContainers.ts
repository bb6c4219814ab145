import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { labelFilters } from "../../platform/docker/client";
import { containerSchema } from "../../platform/docker/inspect";
import { parseJson } from "../../platform/json";
import type { ContainerFacts } from "./facts";
import { endedOf, type Kill, killsOf, type Life } from "./memoryKills";
import { haltedIn } from "./probes";
import { ask } from "./timeLimits";

/** Number of log lines to keep, enough to show why something ended. */
const LAST_LINES = 4;

const health = z.enum(["healthy", "unhealthy", "starting"]);

/**
 * The stack's containers, including stopped ones; undefined where the engine does not answer.
 *
 * @param kills processes that the kernel killed because memory ran out. Default: none
 */
export async function collectContainers(
  box: BoxPlan,
  kills: Promise<Kill[]> = Promise.resolve([]),
): Promise<ContainerFacts[] | undefined> {
  const filters = labelFilters([`gpubox.stack=${box.stack}`]);
  const list = await ask(box, ["ps", "-aq", "--no-trunc", ...filters]);
  if (list.code !== 0) return undefined;
  const ids = list.stdout.split("\n").filter(Boolean);
  if (ids.length === 0) return [];
  const [details, stats, halted, killed] = await Promise.all([
    ask(box, ["inspect", "--type", "container", ...ids]),
    statsOf(box, ids),
    Promise.all(ids.map((id) => haltedIn(box, id))),
    kills,
  ]);
  // A container that disappears meanwhile makes the command fail, which still prints the others.
  const seen = z.array(containerSchema).safeParse(parseJson(details.stdout));
  if (!seen.success) return undefined;
  const now = Date.now() / 1000;
  const found = seen.data.map(({ State, ...one }) => {
    const name = one.Name;
    const life: Life = {
      id: one.Id,
      startedAt: Date.parse(State.StartedAt) / 1000,
      endedAt: Date.parse(State.FinishedAt) / 1000,
      restarts: one.RestartCount,
      oomKilled: State.OOMKilled,
    };
    return {
      name,
      role: one.Config.Labels["gpubox.role"] ?? "",
      state: State.Status,
      health: health.safeParse(State.Health?.Status).data,
      healthSays: State.Health?.Log?.at(-1)?.Output.trim(),
      exitCode: State.ExitCode,
      oomKilled: State.OOMKilled,
      restarts: one.RestartCount,
      error: State.Error,
      networks: Object.keys(one.NetworkSettings.Networks),
      generation: one.Config.Labels["gpubox.generation"],
      memoryKills: killsOf(life, killed, now),
      endedAt: endedOf(life, now),
      halted: State.Status === "running" ? halted[ids.indexOf(one.Id)] : undefined,
      ...stats[name],
    };
  });
  return Promise.all(found.map((one) => withWords(box, one)));
}

/** Adds the last log lines of a container that does not run well. */
async function withWords(box: BoxPlan, one: ContainerFacts): Promise<ContainerFacts> {
  const problem =
    one.state === "restarting" || one.health === "unhealthy" || (one.state === "exited" && one.exitCode);
  if (!problem) return one;
  const { stdout, stderr } = await ask(box, ["logs", "--tail", String(LAST_LINES), one.name]);
  const lastWords = `${stdout}${stderr}`
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(-300);
  return { ...one, lastWords };
}

const stat = z.object({ Name: z.string(), CPUPerc: z.string(), MemPerc: z.string() });

async function statsOf(box: BoxPlan, ids: string[]) {
  const args = ["stats", "--no-stream", "--format", "{{json .}}", ...ids];
  const { stdout } = await ask(box, args);
  const entries = stdout.split("\n").flatMap((line) => {
    const one = stat.safeParse(parseJson(line)).data;
    if (!one) return [];
    const { Name, CPUPerc, MemPerc } = one;
    return [
      [Name, { cpuPercent: Number.parseFloat(CPUPerc), memoryPercent: Number.parseFloat(MemPerc) }] as const,
    ];
  });
  return Object.fromEntries(entries.filter(([, { cpuPercent }]) => Number.isFinite(cpuPercent)));
}

/** Names of the host's networks. */
export async function collectNetworks(box: Pick<BoxPlan, "docker">): Promise<string[] | undefined> {
  const list = await ask(box, ["network", "ls", "--format", "{{.Name}}"]);
  return list.code === 0 ? list.stdout.split("\n").filter(Boolean) : undefined;
}
