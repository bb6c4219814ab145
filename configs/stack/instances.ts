import { engineOf, type ModelConfig } from "../engines";
import { modelSlug } from "../kit/names";

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
    model: { ...shared, ...settings } as ModelConfig,
    weight,
    order,
  }));
}

/** The slot that loads a model on demand; undefined for those that are not. */
export function slotOf(name: string, model: ModelConfig): string | undefined {
  return model.start === "ondemand" ? (model.slot ?? modelSlug(name)) : undefined;
}

/** Every name that clients may write for an entry: its own, its aliases, its LoRA adapters. */
export function namesOf(name: string, model: ModelConfig): string[] {
  return [name, ...model.aliases, ...(engineOf(model).adapters?.(model) ?? [])];
}
