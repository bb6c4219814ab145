import { isDeepStrictEqual } from "node:util";
import { type EngineName, engines } from "../../configs/engines";
import type { Entry } from "./draft";
import type { DeploymentDraft } from "./litellmModel";

/** A model made of deployments with one name, and those that cannot be among its instances. */
export interface Group {
  entry: Entry;
  apart: { deployment: DeploymentDraft; why: string }[];
}

/** Keys of which each instance has its own, by the engine's schema. */
function ownKeys(engine: EngineName): string[] {
  const { shape } = engines[engine].schema as unknown as { shape: Record<string, unknown> };
  const list = (shape.instances as { unwrap(): { element: { shape: object } } }).unwrap();
  return Object.keys(list.element.shape);
}

/** One entry of the deployments of one name: what all have alike is the entry's, the rest is each instance's own. */
export function groupOf(name: string, deployments: DeploymentDraft[]): Group {
  const [first, ...others] = deployments;
  if (others.length === 0) return { entry: withoutShare(first!.entry), apart: [] };
  const own = ownKeys(first!.entry.engine as EngineName);
  const apart: Group["apart"] = [];
  const kept = [first!];
  for (const deployment of others) {
    const differs = keysOf([first!, deployment]).filter(
      (key) => !own.includes(key) && !isDeepStrictEqual(first!.entry[key], deployment.entry[key]),
    );
    if (differs.length === 0) kept.push(deployment);
    else
      apart.push({
        deployment,
        why: `another deployment of "${name}" differs in ${differs.join(", ")}, which one entry has once; give it a name of its own`,
      });
  }
  if (kept.length === 1) return { entry: withoutShare(first!.entry), apart };
  const shared = keysOf(kept).filter(
    (key) =>
      !["weight", "order"].includes(key) &&
      kept.every(({ entry }) => isDeepStrictEqual(entry[key], first!.entry[key])),
  );
  const pick = (entry: Entry, keep: (key: string) => boolean) =>
    Object.fromEntries(Object.entries(entry).filter(([key]) => keep(key)));
  const instances = kept.map(({ id, entry }) => ({
    ...instanceName(name, id),
    ...pick(entry, (key) => !shared.includes(key)),
  }));
  return { entry: { ...pick(first!.entry, (key) => shared.includes(key)), instances }, apart };
}

function keysOf(deployments: DeploymentDraft[]): string[] {
  return [...new Set(deployments.flatMap(({ entry }) => Object.keys(entry)))];
}

/** A single server has no siblings to share with. */
function withoutShare({ weight: _, order: __, ...entry }: Entry): Entry {
  return entry;
}

/** What gpubox's own ids say after the model's name. */
function instanceName(name: string, id: string | undefined): { name?: string } {
  const own = id?.startsWith(`${name}-`) ? id.slice(name.length + 1) : undefined;
  return own && /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(own) && !/^\d+$/.test(own) ? { name: own } : {};
}
