import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Document, isMap, type Node, parseDocument } from "yaml";
import type { GpuPlan } from "../../configs/capacity/placement";
import { planStackGpus } from "../../configs/capacity/stack";
import { GIB, gibibytes } from "../../configs/kit/sizes";
import type { ModelLock } from "../../configs/models/facts";
import { recipeEntry } from "../../configs/recipes/entry";
import { type Fit, fits } from "../../configs/recipes/fit";
import { findRecipe, type Recipe } from "../../configs/recipes/recipe";
import { roomsOf } from "../../configs/recipes/rooms";
import type { DeviceId } from "../../configs/schema/gpu";
import { UserError } from "../../platform/process";
import { readModelLock, writeModelLock } from "../../platform/stack/modelLock";
import { sourcesIn } from "../../platform/stack/modelSources";
import { checkStackFile, namedSecrets } from "../../platform/stack/planStack";
import { readText } from "../../platform/userFiles";
import type { HubAccess } from "./hub";
import { resolveChange } from "./lockModels";

export interface AddOptions {
  /** The name that clients write. Default: the repository's, in lower case. */
  as?: string;
  /** A checkpoint's name or precision. Default: the most precise that fits. */
  checkpoint?: string;
  /** Ids of devices. Default: those with the most room. */
  devices?: DeviceId[];
  /** True: with the recipe's draft head. */
  draft?: boolean;
}

/** What was written, for the person who asked. */
export interface Added {
  name: string;
  fit: Fit;
  entry: Record<string, unknown>;
  /** Flags of the recipe that gpubox decides itself. */
  left: string[];
  /** Why the hub could not be asked; the entry then says how much memory it may have. */
  unlocked?: string;
}

/**
 * Writes an entry from a verified recipe into a stack's file, and its sizes into the models' lock. Nothing is written unless the
 * whole stack passes every check with it.
 *
 * @throws UserError for a model without a recipe, one that fits on no device, or a name that is taken
 * @throws ConfigError with what the checks say of the stack with the entry
 */
export async function addModel(
  projectDir: string,
  stack: string,
  wanted: string,
  options: AddOptions,
  access: HubAccess,
): Promise<Added> {
  const recipe = recipeOf(wanted);
  const secrets = namedSecrets(projectDir, stack);
  const lock = readModelLock(projectDir);
  const config = checkStackFile(projectDir, stack, { secrets });
  const name = options.as ?? recipe.id.split("/")[1]!.toLowerCase();
  if (name in config.models)
    throw new UserError(
      `Pulumi.${stack}.yaml has a model ${name} already.`,
      "Choose another name with --as, or edit that entry.",
    );
  const rooms = roomsOf(config, planStackGpus(config, lock));
  const fit = fitOf(recipe, stack, rooms, options);
  const { entry, left } = recipeEntry(fit, options.draft ?? false);
  const source = `hf://${fit.variant.model}`;
  const locked = lock[source] ?? (await lockOf(source, access));
  const known: ModelLock = { ...lock, [source]: locked };
  for (const one of sourcesIn(entry)) known[one] ??= await lockOf(one, access);
  const sized =
    "unresolved" in locked ? { ...entry, gpu: { devices: entryDevices(fit), memoryGiB: most(fit) } } : entry;
  const check = (candidate: Record<string, unknown>, given?: ModelLock) =>
    checkStackFile(projectDir, stack, { lock: given, secrets, models: { [name]: candidate } });
  const fitting = withContext(name, sized, planStackGpus(check(sized), known));
  check(fitting, known);
  write(projectDir, stack, name, fitting);
  writeModelLock(projectDir, known);
  const unlocked = "unresolved" in locked ? locked.unresolved : undefined;
  return { name, fit, entry: fitting, left, ...(unlocked ? { unlocked } : {}) };
}

function recipeOf(wanted: string): Recipe {
  const found = findRecipe(wanted);
  if ("recipe" in found) return found.recipe;
  throw new UserError(`No verified recipe serves "${wanted}".`, found.fix);
}

function fitOf(recipe: Recipe, stack: string, rooms: Parameters<typeof fits>[1], options: AddOptions): Fit {
  const { checkpoint, devices } = options;
  const declared = rooms.map(({ gpu }) => String(gpu.id));
  const unknown = (devices ?? []).map(String).filter((id) => !declared.includes(id));
  if (unknown.length > 0)
    throw new UserError(
      `Pulumi.${stack}.yaml declares no device ${unknown.join(", ")}.`,
      `${declared.length > 0 ? `Use one of: ${declared.join(", ")}, or add it to` : "Declare it in"} gpubox:host.gpus.`,
    );
  const isWanted = ({ name, precision, model }: Fit["variant"]) =>
    !checkpoint || [name, precision, model].includes(checkpoint);
  if (!recipe.variants.some(isWanted))
    throw new UserError(
      `${recipe.id} has no checkpoint "${checkpoint}".`,
      `Use one of: ${recipe.variants.map(({ name }) => name).join(", ")}.`,
    );
  const chosen = devices ? rooms.filter(({ gpu }) => devices.map(String).includes(String(gpu.id))) : rooms;
  const [fit] = fits(recipe, chosen).filter(({ variant }) => isWanted(variant));
  if (fit) return fit;
  const checkpoints = recipe.variants.map(({ name, vramGB }) => `${name} (${vramGB} GB)`).join(", ");
  const left = chosen.map(({ gpu, freeBytes }) => `${gpu.id}: ${gibibytes(freeBytes)}`).join(", ");
  throw new UserError(
    `${recipe.id} does not fit on Pulumi.${stack}.yaml's devices: its checkpoints need ${checkpoints}, and ${left ? `what is left is ${left}` : "none is declared"}.`,
    "See `gpubox recommend` for what fits, or free devices.",
  );
}

/** Facts about the checkpoint from the hub, or why there are none. */
async function lockOf(source: string, access: HubAccess): Promise<ModelLock[string]> {
  const { after, failure = "" } = await resolveChange(source, undefined, access);
  return after ?? { unresolved: failure };
}

/** The entry, or the entry with the longest context that the planner gives it. */
function withContext(name: string, entry: Record<string, unknown>, plan: GpuPlan): Record<string, unknown> {
  const refusal = plan.refusals.find(({ demand }) => demand.model === name);
  const engine = refusal?.advice.changed?.engine;
  return engine?.engine === "vllm" && engine.maxModelLen
    ? { ...entry, maxModelLen: engine.maxModelLen }
    : entry;
}

function entryDevices({ devices }: Fit): DeviceId[] {
  return devices.map(({ id }) => id);
}

/** GiB on each device, a tenth kept for what the sizes of the recipe do not know. */
function most({ roomBytes, devices }: Fit): number {
  return Math.floor((roomBytes / devices.length / GIB) * 0.95 * 10) / 10;
}

function write(projectDir: string, stack: string, name: string, entry: Record<string, unknown>): void {
  const path = join(projectDir, `Pulumi.${stack}.yaml`);
  const document = parseDocument(readText(path));
  document.setIn(["config", "gpubox:models", name], nodeOf(document, entry));
  writeFileSync(path, document.toString({ flowCollectionPadding: false, lineWidth: 0 }));
}

/** The entry as people write it: its devices on one line. */
function nodeOf(document: Document, entry: Record<string, unknown>): Node {
  const node = document.createNode(entry);
  const gpu = node.get("gpu", true);
  if (isMap(gpu)) gpu.flow = true;
  return node;
}
