import { dockerAt, labelFilters } from "../../platform/docker/client";
import { runOnHost } from "../../platform/machine";
import { isConnected } from "../../platform/ssh/connection";
import { gpuProcesses } from "../drift/collectGpus";
import type { GpuProcess } from "../drift/facts";
import { usesOf } from "./gpus";
import type { GpuUse, Side } from "./types";

/** Timeout in milliseconds for each question: nobody waits for a lost driver at a preview. */
const ASK_MS = 6_000;

/** A declared device, what the plan puts on it, and what else is there. */
export interface SharedDevice {
  id: string;
  use: Pick<GpuUse, "totalMiB" | "usedMiB">;
  processes: GpuProcess[];
}

/**
 * Notes on programs that use the declared NVIDIA devices and are not of this box. Asks only this machine, or a host whose connection is
 * open: a preview opens none. Nothing where the host does not say.
 */
export async function gpuStrangers(projectDir: string, { config, lock, plan }: Side): Promise<string[]> {
  const ids = config.host.gpus.filter(({ vendor }) => vendor === "nvidia").map(({ id }) => String(id));
  if (ids.length === 0) return [];
  if (!isConnected(projectDir, config)) return [];
  let said: Promise<string> | undefined;
  const once = (script: string) => (said ??= runOnHost(plan.docker, script, ASK_MS));
  const uses = usesOf({ config, lock });
  const devices: SharedDevice[] = [];
  for (const id of ids) {
    const processes = await gpuProcesses(once, [id]);
    const use = uses[id];
    if (use && Array.isArray(processes) && processes.length > 0) devices.push({ id, use, processes });
  }
  if (devices.length === 0) return [];
  const own = ["ps", "-q", "--no-trunc", ...labelFilters([`gpubox.stack=${plan.stack}`])];
  const { code, stdout } = await dockerAt(plan.docker).run(own, { timeoutMs: ASK_MS });
  return code === 0 ? strangerNotes(devices, stdout.split("\n")) : [];
}

/**
 * A note for each device that something else uses too.
 *
 * @param own ids of the box's containers
 */
export function strangerNotes(devices: SharedDevice[], own: string[]): string[] {
  return devices.flatMap(({ id, use, processes }) => {
    const others = processes.filter(({ container }) => !(container && own.includes(container)));
    if (others.length === 0) return [];
    const mib = others.reduce((sum, { usedMiB }) => sum + usedMiB, 0);
    const names = others.map(({ name, pid }) => `${name} (pid ${pid})`).join(" and ");
    const fits = use.usedMiB + mib <= use.totalMiB;
    const then = fits
      ? "the models fit beside that as long as it does not grow"
      : `the models need ${use.usedMiB} of its ${use.totalMiB} MiB and do not fit beside that: end it, or declare less memoryGiB`;
    return [`GPU ${id} is used by ${names}, not of this box: ${mib} MiB now; ${then}.`];
  });
}
