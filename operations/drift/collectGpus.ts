import type { GpuProcess } from "./facts";

/** Runs a command on the host and returns its output; rejects when it fails. */
export type OnHost = (script: string) => Promise<string>;

/**
 * Prints the processes of each GPU, then the control groups of each process: a line that begins with `=PID`, followed
 * by the lines of /proc/PID/cgroup.
 */
const SCRIPT = `nvidia-smi --query-gpu=index,uuid --format=csv,noheader && echo -- &&
nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory,process_name --format=csv,noheader,nounits && echo -- &&
for pid in $(nvidia-smi --query-compute-apps=pid --format=csv,noheader | sort -u); do echo "=$pid"; cat "/proc/$pid/cgroup" 2>/dev/null; done; true`;

/**
 * Which processes use memory of the declared GPUs, or why that is unknown.
 *
 * @param declared indexes or UUIDs of the config. A slice's UUID is not in the list, so for a slice every process
 * counts
 */
export async function gpuProcesses(
  onHost: OnHost,
  declared: string[],
): Promise<GpuProcess[] | { notChecked: string }> {
  try {
    return parseGpuProcesses(await onHost(SCRIPT), declared);
  } catch (error) {
    return { notChecked: error instanceof Error ? error.message : String(error) };
  }
}

/** Combines nvidia-smi and the control groups for the declared devices. */
export function parseGpuProcesses(text: string, declared: string[]): GpuProcess[] {
  const [devices = "", apps = "", groups = ""] = text.split(/^--$/m);
  const wanted = new Set(
    rows(devices)
      .filter((names) => names.some((name) => declared.includes(name)))
      .map(([, uuid]) => uuid),
  );
  const slices = declared.some((id) => id.startsWith("MIG-"));
  const containers = containersByPid(groups);
  return rows(apps).flatMap(([gpu, pid, used, ...name]) => {
    if (!gpu || !pid || !(slices || wanted.has(gpu))) return [];
    const container = containers.get(Number(pid));
    return [
      {
        ...{ gpu, pid: Number(pid), name: name.join(", "), usedMiB: Number(used) || 0 },
        ...(container ? { container } : {}),
      },
    ];
  });
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.trim())
    .map((line) => line.split(",").map((cell) => cell.trim()));
}

/** Docker puts a container's id into its control group's path, in both versions of control groups. */
function containersByPid(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const part of text.split(/^=/m)) {
    const id = /[0-9a-f]{64}/.exec(part)?.[0];
    if (id) found.set(Number.parseInt(part, 10), id);
  }
  return found;
}
