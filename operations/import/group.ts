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
  const [first, ...others] = alike(deployments);
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
  const to = `gpubox:models.${name}`;
  const instances = kept.map(({ id, entry, input }, index) => {
    const own = pick(entry, (key) => !shared.includes(key));
    for (const key of Object.keys(own)) input.move(`${to}.${key}`, `${to}.instances[${index}].${key}`);
    return { ...instanceName(name, id), ...own };
  });
  return { entry: { ...pick(first!.entry, (key) => shared.includes(key)), instances }, apart };
}

/** One name over servers and providers: LiteLLM's prefix and an address say what both kinds of entries are. */
function alike(deployments: DeploymentDraft[]): DeploymentDraft[] {
  if (new Set(deployments.map(({ entry }) => entry.engine)).size === 1) return deployments;
  return deployments.map((deployment) => {
    const { engine, baseUrl, provider = "hosted_vllm", model, apiKey = "none", ...rest } = deployment.entry;
    // What only the one kind has would be lost.
    if (engine !== "openai" || rest.messages || rest.contextLength || provider !== "hosted_vllm")
      return deployment;
    const entry = {
      engine: "cloud",
      model: `${provider}/${model ?? deployment.name}`,
      apiBase: baseUrl,
      apiKey,
      ...rest,
    };
    deployment.input.move(
      `gpubox:models.${deployment.name}.baseUrl`,
      `gpubox:models.${deployment.name}.apiBase`,
    );
    return { ...deployment, entry };
  });
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
