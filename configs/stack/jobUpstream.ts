import type { ModelConfig } from "../engines";
import type { JobConfig } from "../schema/jobs";
import { namesOf } from "./instances";

/** A declared model that a job asks for. */
export interface BoxModel {
  /** Its entry's name. */
  entry: string;
  model: ModelConfig;
}

/** The model of this box that a name leads to: its own, an alias, or a LoRA adapter. */
export function boxModel(models: Record<string, ModelConfig>, name: string): BoxModel | undefined {
  const found = Object.entries(models).find(([entry, model]) => namesOf(entry, model).includes(name));
  return found && { entry: found[0], model: found[1] };
}

/** The name that clients of a job ask for. */
export function publicName({ upstream, model }: JobConfig): string {
  return model ?? ("box" in upstream ? upstream.box : upstream.model);
}

/** The upstream as people read it. */
export function upstreamText({ upstream }: JobConfig): string {
  return "box" in upstream ? `${upstream.box} of this box` : `${upstream.model} at ${upstream.baseUrl}`;
}
