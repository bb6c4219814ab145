import type { Problem } from "../kit/problems";
import type { LockedModel } from "../models/facts";
import { devicesOfAll, hostsOf, type Spanning } from "./nodes";

/**
 * Refuses a context longer than the model's own: engines fail at the start, or answer nonsense beyond it.
 *
 * @param rope the longest that the entry's scaling of positions allows, and how to scale them
 */
export function checkContext(
  tokens: number | undefined,
  locked: LockedModel | undefined,
  path: string,
  { longest, scale }: { longest?: number; scale?: string } = {},
): Problem[] {
  const most = longest ?? locked?.shape.contextLength;
  if (tokens === undefined || most === undefined || tokens <= most) return [];
  return [
    {
      path,
      ...(scale ? { details: [`    ${scale}`] } : {}),
      what: `A context of ${tokens} tokens is longer than the model's ${most}.`,
      fix: `Write at most ${most}.`,
    },
  ];
}

/**
 * Whether a context is beyond what the model's config.json says. Scaled by YaRN it is allowed, and yet vLLM and SGLang want a variable
 * for it: neither multiplies the length of config.json by YaRN's factor.
 */
export function isLonger(tokens: number | undefined, locked: LockedModel | undefined): boolean {
  return locked !== undefined && tokens !== undefined && tokens > locked.shape.contextLength;
}

/** Tensor parallelism: as many ranks as devices, and a whole number of attention heads on each. */
export function checkTensorParallel(
  size: number | undefined,
  on: Pick<Spanning, "gpu" | "nodes">,
  locked: LockedModel | undefined,
  path: string,
  { pipelineParallelSize = 1, dataParallelSize = 1, attnDpSize = 1 }: Parallel = {},
): Problem[] {
  const problems: Problem[] = [];
  const devices = devicesOfAll(on);
  const other = pipelineParallelSize * dataParallelSize;
  const ranks = size ?? tensorRanks(devices, { pipelineParallelSize, dataParallelSize });
  const fit = `do not fit on ${counted(on)}`;
  if (devices !== undefined && ranks * other !== devices)
    problems.push({
      path,
      what:
        other === 1
          ? `${ranks} ranks ${fit}.`
          : `Tensor ${ranks} × pipeline ${pipelineParallelSize} × data ${dataParallelSize} makes ${ranks * other} ranks, which ${fit}.`,
      fix: on.nodes
        ? `Make the three multiply to ${devices}${devices % other === 0 ? `: write ${devices / other} here` : ""}.`
        : devices % other === 0
          ? `Write ${devices / other} here, or name ${ranks * other} devices in gpu.devices.`
          : `Name ${ranks * other} devices in gpu.devices, or make the three multiply to ${devices}.`,
    });
  const heads = locked?.shape.attentionHeads;
  if (ranks % attnDpSize !== 0)
    problems.push({
      path: path.replace(/\.\w+$/, ".attnDpSize"),
      what: `${attnDpSize} groups for attention do not divide ${ranks} tensor ranks.`,
      fix: `Use one of ${divisors(ranks).join(", ")}.`,
    });
  else if (heads !== undefined && heads % (ranks / attnDpSize) !== 0)
    problems.push({
      path,
      what: `${ranks / attnDpSize} ranks do not divide the model's ${heads} attention heads.`,
      fix: `Use as many devices as divide ${heads}: ${divisors(heads).join(", ")}.`,
    });
  return problems;
}

/** Ranks of pipelines and of whole copies beside those that share each layer. */
interface Parallel {
  pipelineParallelSize?: number;
  dataParallelSize?: number;
  /** Of the tensor ranks, groups that each keep the whole attention. */
  attnDpSize?: number;
}

/** Ranks of tensor parallelism that use all devices. */
export function tensorRanks(
  devices = 1,
  { pipelineParallelSize = 1, dataParallelSize = 1 }: Parallel,
): number {
  return Math.max(1, Math.floor(devices / (pipelineParallelSize * dataParallelSize)));
}

function counted({ gpu, nodes }: Pick<Spanning, "gpu" | "nodes">): string {
  const each = gpu?.devices.length ?? 1;
  const devices = each === 1 ? "1 device" : `${each} devices`;
  if (!nodes) return devices;
  const hosts = hostsOf({ nodes });
  return `${hosts} hosts × ${gpu ? devices : "1 process"} = ${hosts * each}`;
}

function divisors(number: number): number[] {
  return Array.from({ length: Math.min(number, 16) }, (_, index) => index + 1).filter(
    (n) => number % n === 0,
  );
}
