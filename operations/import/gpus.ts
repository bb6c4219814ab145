import { run } from "../../platform/process";
import type { Draft, Entry } from "./draft";

/** What a container was given of the host's GPUs. */
export type GivenGpus = { ids: string[] } | { count: number | "all" } | undefined;

/** GiB of the host's GPUs by index, as `nvidia-smi` says. Undefined where there is none on this machine. */
export type HostGpus = { id: number; memoryGiB: number }[] | undefined;

/** What a GPU is taken to have where nothing says more. */
const UNKNOWN_GIB = 24;

/** Asks this machine for its GPUs. */
export async function gpusHere(): Promise<HostGpus> {
  const query = ["--query-gpu=index,memory.total", "--format=csv,noheader,nounits"];
  const { code, stdout } = await run("nvidia-smi", query).catch(() => ({ code: 127, stdout: "" }));
  if (code !== 0) return undefined;
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.split(",").map(Number))
    .map(([id = 0, mib = 0]) => ({ id, memoryGiB: Math.floor((mib / 1024) * 10) / 10 }));
}

/** Gives an entry its devices, and declares them for the host. */
export function giveGpus(
  entry: Entry,
  gpus: GivenGpus,
  draft: Draft,
  host: HostGpus,
  to: string,
  vendor?: "amd" | "intel",
): void {
  if (gpus === undefined) return;
  const known = host?.map(({ id }) => id);
  const parallel = ["tensorParallelSize", "pipelineParallelSize", "dataParallelSize", "tpSize"].map((key) =>
    typeof entry[key] === "number" ? (entry[key] as number) : 1,
  );
  const wanted = parallel.reduce((product, one) => product * one, 1);
  const devices =
    "ids" in gpus
      ? gpus.ids.map((id) => (/^\d+$/.test(id) ? Number(id) : id))
      : gpus.count === "all"
        ? (known ?? range(wanted))
        : range(gpus.count);
  // vLLM and SGLang use as many as they are told to, of all that they see.
  const used = ["vllm", "sglang"].includes(String(entry.engine)) ? devices.slice(0, wanted) : devices;
  if (used.length < devices.length)
    draft.remark(`${to}.gpu`, `The old server saw ${devices.length} GPUs and used ${used.length} of them.`);
  entry.gpu = { devices: used };
  if (!("ids" in gpus))
    draft.remark(
      `${to}.gpu`,
      `The old server was given ${gpus.count === "all" ? "every GPU" : `any ${gpus.count}`}.`,
    );
  const declared = ((draft.sections.host?.gpus ?? []) as { id: number | string }[]).map(({ id }) => id);
  const fresh = used
    .filter((id) => !declared.includes(id))
    .map((id) => ({ id, memoryGiB: host?.find((one) => one.id === id)?.memoryGiB ?? UNKNOWN_GIB }))
    .map((one) => (vendor ? { ...one, vendor } : one));
  const all = [...((draft.sections.host?.gpus ?? []) as object[]), ...fresh];
  const path = draft.set("host", ["gpus"], all);
  if (host === undefined)
    draft.remark(
      path,
      vendor
        ? `memoryGiB is a guess: write what ${vendor === "amd" ? "amd-smi static --vram" : "xpu-smi discovery"} says.`
        : "memoryGiB is a guess: write what nvidia-smi on the host says, divided by 1024.",
    );
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
