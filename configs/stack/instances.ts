import { createHash } from "node:crypto";
import { engineOf, type ModelConfig } from "../engines";

/** One deployment of a model: a container on this box, an external server, or a provider account. */
export interface Instance {
  /** Identity: the public name, or that and the instance's own name (`-1`, `-2`, … for those without) where the entry lists instances. */
  id: string;
  /** Where its entry stands below the model's: `` or `.instances[0]`. */
  path: string;
  /** The model's entry with the instance's own settings put in. */
  model: ModelConfig;
  /** Share of the requests against its siblings. */
  weight?: number;
  /** The lowest is tried first. */
  order?: number;
}

/** The instances of a model's entry; one where it lists none. */
export function instancesOf(name: string, entry: ModelConfig): Instance[] {
  const { instances, ...shared } = entry;
  if (!instances) return [{ id: name, path: "", model: entry }];
  return instances.map(({ name: own, weight, order, ...settings }, index) => ({
    id: `${name}-${own ?? index + 1}`,
    path: `.instances[${index}]`,
    model: { ...shared, ...settings, ...ownMaps(shared, settings) } as ModelConfig,
    weight,
    order,
  }));
}

/** An instance's `params` and `info` over its entry's, key by key. Absent where neither has any. */
function ownMaps(...[entry, own]: [Maps, Maps]): Maps {
  return Object.fromEntries(
    (["params", "info"] as const)
      .filter((map) => entry[map] ?? own[map])
      .map((map) => [map, { ...entry[map], ...own[map] }]),
  );
}

type Maps = Pick<ModelConfig, "params" | "info">;

/** The slot in which llama-swap loads a model on demand; undefined for others. */
export function slotOf(name: string, model: ModelConfig): string | undefined {
  if (model.start !== "ondemand" || model.engine !== "llamacpp" || model.group) return undefined;
  return model.slot ?? modelSlug(name);
}

/** The group that a model is loaded on demand in, with a container of its own; undefined for others. */
export function groupOf(name: string, model: ModelConfig): string | undefined {
  if (model.start !== "ondemand" || slotOf(name, model) !== undefined) return undefined;
  return model.group ?? modelSlug(name);
}

/** Names by which keys and teams are given a model together with others. */
export function accessGroups({ info, instances = [] }: ModelConfig): string[] {
  const named = [info, ...instances.map((one) => one.info)].flatMap((one) => one?.access_groups ?? []);
  return [...new Set(named.filter((group) => typeof group === "string"))];
}

/** True for a server that the box runs: its valve sees every request to it, whichever gateway it comes from. */
export function hasContainer(model: ModelConfig): boolean {
  return engineOf(model).container !== undefined;
}

/** False for an entry that no gateway serves, and that clients reach at a port of its own. */
export function throughGateway(model: ModelConfig): boolean {
  return engineOf(model).throughGateway?.(model) ?? true;
}

/** Every name that a gateway's clients may write for an entry: its own, its aliases, its LoRA adapters. */
export function namesOf(name: string, model: ModelConfig): string[] {
  if (!throughGateway(model)) return [];
  return [name, ...model.aliases, ...(engineOf(model).adapters?.(model) ?? [])];
}

/**
 * Port of a model's valve and backend, 10000 to 29999, made from its name. Docker gives the address of a removed container
 * to the next one at once: with a port of its own, a request that still goes there is refused instead of answered by another
 * model.
 */
export function modelPort(name: string): number {
  return 10_000 + (Number.parseInt(createHash("sha256").update(name).digest("hex").slice(0, 8), 16) % 20_000);
}

/** Logical name of an instance's container. */
export function backendName(instance: string): string {
  return `backend-${modelSlug(instance)}`;
}

/** Port of a slot, 6000 to 9999. It has its own, which differs from the ports of the models in it. */
export function slotPort(slot: string): number {
  return 6_000 + (modelPort(slot) % 4_000);
}

/** A container is known by its name on its networks, where a word has 63 characters at most; `backend-` comes before. */
const LONGEST_SLUG = 63 - "backend-".length;

/**
 * A model's public name as a part of container names: lower case, runs of other characters as one dash. What would be too long, and
 * a name with a character that tells variants apart (`m@q4`, `m[1m]`), ends in a hash: its container's name is its own, and stays
 * what it is when other models come and go.
 */
export function modelSlug(name: string): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  if (slug.length <= LONGEST_SLUG && !/[@+[\]]/.test(name)) return slug;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 6);
  return `${slug.slice(0, LONGEST_SLUG - hash.length - 1).replace(/-$/, "")}-${hash}`;
}
