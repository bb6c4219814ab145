import { hundredthsOfGiB } from "../kit/sizes";
import { isOffloading } from "../models/experts";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import { CONTEXT_SETTING, contextTokens, type GpuDemand, parallelOf } from "./demand";
import { deviceName, isSlice, totalFor } from "./device";
import { memoryNeed } from "./memory";
import { splitOf } from "./split";

/** The smallest change by which a refused backend fits. */
export interface Advice {
  /** One sentence. */
  fix: string;
  /** Every other way, a sentence each. */
  others: string[];
  /** The backend with that change, where it is a change of its entry alone. */
  changed?: GpuDemand;
}

/** A shorter context is useless, so another change is better advice. */
const LEAST_CONTEXT = 1024;

/** Contexts are advised in steps of a llama.cpp cell block. */
const CONTEXT_STEP = 256;

/** Bits a weight of whole files: llama.cpp's table for Llama-3.1-8B (tools/quantize), and formats of safetensors with their scales. */
const QUANTIZATIONS = {
  gguf: { Q8_0: 8.5, Q6_K: 6.56, Q5_K_M: 5.7, Q4_K_M: 4.89, IQ4_XS: 4.46, Q3_K_M: 4, Q2_K: 3.16 },
  safetensors: { fp8: 8.2, awq: 4.6 },
};

/**
 * The smallest change that fits, and every other one. It tries a shorter context, fewer parallel requests, another device, experts in
 * the host's memory, fewer bits per weight and a larger device, in this order. For a model of unknown size it advises a smaller declared size instead of fewer bits.
 *
 * @param left free bytes of a device for this backend
 */
export function advise(demand: GpuDemand, gpus: GpuConfig[], left: (device: GpuConfig) => number): Advice {
  const own = gpus.filter(({ id }) => demand.devices.includes(id));
  const fits = (candidate: GpuDemand) =>
    own.every((device) => memoryNeed(candidate, device).bytes <= left(device));
  const unpinned = withoutPins(demand);
  // Only the fixed share may be too large; the planner's own choice would fit.
  const pinned = unpinned.pins.length > 0;
  const first = pinned ? `Leave ${unpinned.pins.join(" and ")} out` : "";
  const say = (change: string) => (pinned ? `${first}, and ${lowerFirst(change)}` : change);
  const unpinnedFits = pinned && fits(unpinned.demand);
  const ways: (Change | undefined)[] = [
    unpinnedFits
      ? { fix: `${first}: the planner's own share fits.`, changed: unpinned.demand }
      : shorterContext(unpinned.demand, fits, say),
    unpinnedFits ? undefined : fewerRequests(unpinned.demand, fits, say),
    anotherDevice(unpinned.demand, gpus, left, say),
    unpinnedFits ? undefined : expertsOnHost(unpinned.demand, fits, say),
    lessDeclared(unpinned.demand, own, left),
    unpinnedFits ? undefined : fewerBits(unpinned.demand, own, left),
    unpinnedFits ? undefined : largerDevice(unpinned.demand, own),
  ];
  const [best, ...others] = ways.filter((way) => way !== undefined);
  return { ...best!, others: [...others.map(({ fix }) => fix), ...ownWord(unpinned.demand, own, left)] };
}

/** A person may know better than the sum. */
function ownWord({ engine }: GpuDemand, own: GpuConfig[], left: (device: GpuConfig) => number): string[] {
  const most = Math.min(...own.map(left));
  if (most <= 0 || engine.engine === "declared") return [];
  return [
    `Write gpu.memoryGiB: ${hundredthsOfGiB(most, "down")} or less, if you know that it needs no more: that is taken as it is.`,
  ];
}

type Change = Omit<Advice, "others">;

type Say = (change: string) => string;
type Fits = (candidate: GpuDemand) => boolean;

function shorterContext(demand: GpuDemand, fits: Fits, say: Say): Change | undefined {
  const now = contextTokens(demand);
  const setting = CONTEXT_SETTING[demand.engine.engine];
  let [low, high] = [Math.ceil(LEAST_CONTEXT / CONTEXT_STEP), Math.ceil(now / CONTEXT_STEP) - 1];
  const at = (steps: number) =>
    ({ ...demand, engine: { ...demand.engine, [setting]: steps * CONTEXT_STEP } }) as GpuDemand;
  if (low > high || !fits(at(low))) return undefined;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(at(middle))) low = middle;
    else high = middle - 1;
  }
  return { fix: say(`Set ${setting} to ${low * CONTEXT_STEP} or less (it is ${now}).`), changed: at(low) };
}

function fewerRequests(demand: GpuDemand, fits: Fits, say: Say): Change | undefined {
  const parallel = parallelOf(demand);
  if (!parallel) return undefined;
  for (let value = parallel.value - 1; value >= 1; value--) {
    const changed = parallel.to(value);
    if (fits(changed))
      return { fix: say(`Set ${parallel.setting} to ${value} (it is ${parallel.value}).`), changed };
  }
  return undefined;
}

function anotherDevice(
  demand: GpuDemand,
  gpus: GpuConfig[],
  left: (device: GpuConfig) => number,
  say: Say,
): Change | undefined {
  if (demand.devices.length !== 1) return undefined;
  const now = gpus.find(({ id }) => id === demand.devices[0]);
  const better = gpus.find(
    (device) =>
      !demand.devices.includes(device.id) &&
      device.vendor === now?.vendor &&
      memoryNeed(demand, device).bytes <= left(device),
  );
  if (!better) return undefined;
  const devices: DeviceId[] = [better.id];
  return {
    fix: say(
      `Move it to ${deviceName(better.id)}, which has ${hundredthsOfGiB(left(better), "down")} GiB left.`,
    ),
    changed: { ...demand, devices },
  };
}

/** As few layers as possible, of a mixture of experts whose entry says nothing of them yet. */
function expertsOnHost(demand: GpuDemand, fits: Fits, say: Say): Change | undefined {
  const { engine, locked } = demand;
  if (engine.engine !== "llamacpp" || isOffloading(engine) || locked.shape.experts === 0) return undefined;
  const at = (nCpuMoe: number): GpuDemand => ({ ...demand, engine: { ...engine, nCpuMoe } });
  const layers = Array.from({ length: locked.shape.layers }, (_, index) => index + 1);
  const least = layers.find((count) => fits(at(count)));
  if (least === undefined) return undefined;
  return {
    fix: say(
      `Set nCpuMoe to ${least}: the experts of ${least} of ${layers.length} layers stay in the host's memory.`,
    ),
    changed: at(least),
  };
}

function lessDeclared(
  { engine }: GpuDemand,
  own: GpuConfig[],
  left: (device: GpuConfig) => number,
): Change | undefined {
  const most = Math.min(...own.map(left));
  if (engine.engine !== "declared" || most <= 0) return undefined;
  return {
    fix: `Write memoryGiB: ${hundredthsOfGiB(most, "down")} or less if it needs no more, or use a larger device.`,
  };
}

function fewerBits(
  demand: GpuDemand,
  own: GpuConfig[],
  left: (device: GpuConfig) => number,
): Change | undefined {
  const { locked } = demand;
  const { tensor, pipeline } = splitOf(demand);
  const now = (locked.weightBytes * 8) / (locked.shape.parameters || 1);
  const room = Math.min(
    ...own.map((device) => {
      const need = memoryNeed(demand, device);
      return left(device) - (need.bytes - need.weightBytes);
    }),
  );
  const bits = (room * 8 * tensor * pipeline) / (locked.shape.parameters || 1);
  const fitting = Object.entries(QUANTIZATIONS[locked.format]).find(([, each]) => each < now && each <= bits);
  if (!fitting) return undefined;
  return {
    fix: `Use a smaller quantisation of it: ${fitting[0]}, at ${fitting[1]} bits a weight, would fit.`,
  };
}

function largerDevice(demand: GpuDemand, own: GpuConfig[]): Change {
  const memory = Math.max(...own.map((device) => totalFor(device, memoryNeed(demand, device).bytes)));
  const where = own.some(({ id }) => isSlice(id)) ? "a larger slice" : "a device";
  return { fix: `It needs ${where} of ${hundredthsOfGiB(memory, "up")} GiB for itself, or a smaller model.` };
}

/** The demand without settings that fix its share, and the names of those settings. */
function withoutPins(demand: GpuDemand): { demand: GpuDemand; pins: string[] } {
  const pins: string[] = [];
  const engine: Record<string, unknown> = { ...demand.engine };
  for (const setting of [
    "gpuMemoryUtilization",
    "kvCacheMemoryBytes",
    "memFractionStatic",
    "maxTotalTokens",
    "kvCacheFreeGpuMemoryFraction",
    "maxTokens",
  ])
    if (engine[setting] !== undefined) {
      pins.push(setting);
      delete engine[setting];
    }
  if (demand.memoryGiB !== undefined) pins.unshift("gpu.memoryGiB");
  return {
    demand: { ...demand, memoryGiB: undefined, engine: engine as unknown as GpuDemand["engine"] },
    pins,
  };
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
