import { GIB } from "../kit/sizes";
import type { GpuConfig } from "../schema/gpu";
import { type Flags, RECIPES, type Recipe, type Variant } from "./recipe";

/** A device of the host with what the stack's models leave of it. */
export interface Room {
  gpu: GpuConfig;
  freeBytes: number;
}

/** A checkpoint of a recipe on devices that hold it. */
export interface Fit {
  recipe: Recipe;
  variant: Variant;
  devices: GpuConfig[];
  /** What the recipe asks of all devices together. */
  needBytes: number;
  /** What the devices have left. */
  roomBytes: number;
  /** What these devices are, where `RECIPES.hardware` has the like. */
  hardware?: string;
  /** True where the recipe was verified on devices like these. */
  verified: boolean;
}

/** How many devices may share a model: tensor parallelism halves it, and halves it again. */
const COUNTS = [1, 2, 4, 8];

/** Makers count 2^30 bytes too, and a part is the driver's: a DGX Spark of 128 GB shows 119.7 GiB. */
const TOLERANCE = 0.07;

/** Bits of a weight, for the order of a recipe's checkpoints. */
const BITS: Record<string, number> = { bf16: 16, fp16: 16, fp8: 8, mxfp8: 8, int8: 8 };

/** Formats that need NVIDIA's Blackwell, by the recipes' own rules. */
const BLACKWELL = ["nvfp4", "fp4"];

/** What a device is, from what the stack declares of it; undefined for one that no recipe knows. */
export function hardwareOf({ vendor, memoryGiB, computeCapability }: GpuConfig): string | undefined {
  const off = (key: string) => Math.abs(1 - memoryGiB / RECIPES.hardware[key]!.deviceGB);
  const [best] = Object.keys(RECIPES.hardware)
    .filter((key) => {
      const known = RECIPES.hardware[key]!;
      const same = !computeCapability || known.computeCapability === computeCapability;
      return known.vendor === vendor && same && off(key) <= TOLERANCE;
    })
    .sort((a, b) => off(a) - off(b));
  return best;
}

/** The checkpoints of a recipe that fit, the most precise first, each on the fewest devices. */
export function fits(recipe: Recipe, rooms: Room[]): Fit[] {
  return [...recipe.variants]
    .sort((a, b) => bits(b) - bits(a))
    .flatMap((variant) => fitOf(recipe, variant, rooms) ?? []);
}

/** Every recipe that fits, by its most precise checkpoint: those that were verified on such devices first, then the largest models. */
export function recommended(rooms: Room[]): Fit[] {
  return RECIPES.recipes
    .flatMap((recipe) => fits(recipe, rooms).slice(0, 1))
    .sort((a, b) => Number(b.verified) - Number(a.verified) || b.recipe.parameters - a.recipe.parameters);
}

/** True where the recipe was verified on devices like this, in a machine with any number of them. */
export function verifiedHere({ verified }: Recipe, hardware: string): boolean {
  return verified.some((key) => isSameDevice(key, hardware));
}

/** Where the recipe was verified, in words. */
export function verifiedOn({ verified }: Recipe): string {
  return verified.map((key) => RECIPES.hardware[key]?.name ?? key).join(", ");
}

/** The flags of a checkpoint on these devices: the recipe's, then what the hardware and the checkpoint add. */
export function flagsOf(
  { recipe, variant, devices, hardware }: Omit<Fit, "verified">,
  draft: boolean,
): Required<Flags> {
  const vendor = devices[0]?.vendor ?? "nvidia";
  const keys = [vendor, hardware && RECIPES.hardware[hardware]?.generation, hardware];
  const parts: (Flags | undefined)[] = [
    recipe.flags,
    ...keys.map((key) => key && recipe.overrides?.[key]).map((one) => one || undefined),
    variant,
    ...keys.map((key) => key && variant.overrides?.[key]).map((one) => one || undefined),
    ...(draft ? [recipe.draft] : []),
  ];
  return {
    args: parts.flatMap((part) => part?.args ?? []),
    env: Object.assign({}, ...parts.map((part) => part?.env ?? {})),
  };
}

function fitOf(recipe: Recipe, variant: Variant, rooms: Room[]): Fit | undefined {
  const needBytes = variant.vramGB * 1e9;
  const candidates = rooms.filter(({ gpu }) => takes(variant, gpu)).sort((a, b) => b.freeBytes - a.freeBytes);
  for (const count of variant.tensorParallel ? [variant.tensorParallel] : COUNTS)
    for (const first of candidates) {
      const alike = candidates.filter(({ gpu }) => isAlike(gpu, first.gpu)).slice(0, count);
      const roomBytes = count * Math.min(...alike.map(({ freeBytes }) => freeBytes));
      if (alike.length < count || roomBytes < needBytes) continue;
      const hardware = hardwareOf(first.gpu);
      const verified = hardware !== undefined && verifiedHere(recipe, hardware);
      const devices = alike.map(({ gpu }) => gpu);
      return { recipe, variant, devices, needBytes, roomBytes, hardware, verified };
    }
  return undefined;
}

function takes({ precision, hardware }: Variant, gpu: GpuConfig): boolean {
  const own = hardwareOf(gpu);
  if (hardware && !(own && hardware.some((key) => isSameDevice(key, own)))) return false;
  if (!BLACKWELL.includes(precision)) return true;
  if (gpu.vendor !== "nvidia") return false;
  if (gpu.computeCapability) return Number(gpu.computeCapability) >= 10;
  return own !== undefined && RECIPES.hardware[own]?.generation === "blackwell";
}

/** `rtx_5090_2x` is two of `rtx_5090`. */
function isSameDevice(a: string, b: string): boolean {
  const device = (key: string) => key.replace(/_\d+x$/, "");
  return device(a) === device(b);
}

function isAlike(a: GpuConfig, b: GpuConfig): boolean {
  return a.vendor === b.vendor && Math.abs(a.memoryGiB - b.memoryGiB) * GIB < GIB;
}

function bits({ precision }: Variant): number {
  return BITS[precision] ?? 4;
}
