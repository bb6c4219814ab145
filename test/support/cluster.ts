import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import { clusterLosses } from "../../configs/plan/kubernetes/losses";
import type { Container, KubernetesObject, PodTemplate } from "../../configs/plan/kubernetes/objects";
import { templatesOf } from "../../configs/plan/kubernetes/podSecurity";
import { kubernetesObjects } from "../../configs/plan/kubernetes/render";
import { lossesOnCluster } from "../../configs/plan/kubernetes/target";
import type { BoxFiles } from "../../configs/remotes/files";
import { saltFingerprint } from "../../configs/secrets/facts";
import { withoutLeftOut } from "../../configs/stack/optionalModels";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { everyImage } from "./engines";
import { mistakesIn, rawStack, testSecrets } from "./stacks";

interface Around {
  secrets?: Record<string, string>;
  lock?: ModelLock;
  stack?: string;
  boxFiles?: BoxFiles;
  /** Default: images by their roles' names. */
  resolved?: Resolved;
}

/** A parsed stack config, and its plan for a cluster. */
export function clusterStack(values: Record<string, unknown>, around: Around = {}) {
  const { secrets = {}, lock, stack = "test", boxFiles, resolved = everyImage } = around;
  const all = { ...testSecrets, ...secrets };
  const raw = { ...rawStack(values, all), lock, stack, boxFiles };
  const config = withoutLeftOut(parseStack(raw), raw.secrets);
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(all.saltKey ?? ""),
    resolved,
    assets: loadAssets(packageDir),
    target: "kubernetes",
  });
  return { config, plan };
}

/** The plan of a stack config for a cluster. */
export function clusterPlan(values: Record<string, unknown>, around: Around = {}): BoxPlan {
  return clusterStack(values, around).plan;
}

/** What only one host can do of it, a line each: `path: what fix`. */
export function clusterMistakes(values: Record<string, unknown>, around: Around = {}): string[] {
  const { config, plan } = clusterStack(values, around);
  return mistakesIn(() => lossesOnCluster(config, plan));
}

/** What it loses on a cluster. */
export function lossesOf(values: Record<string, unknown>, around: Around = {}): string[] {
  const { plan } = clusterStack(values, around);
  return clusterLosses(plan, kubernetesObjects(plan));
}

type OfKind<Kind extends KubernetesObject["kind"]> = Extract<KubernetesObject, { kind: Kind }>;

/** The object of a kind and name. */
export function find<Kind extends KubernetesObject["kind"]>(
  objects: KubernetesObject[],
  kind: Kind,
  name: string,
): OfKind<Kind> {
  const found = objects.filter((one) => one.kind === kind && one.metadata.name === name);
  expect(found.map(({ metadata }) => metadata.name)).toEqual([name]);
  return found[0] as OfKind<Kind>;
}

/** All objects of a kind. */
export function all<Kind extends KubernetesObject["kind"]>(
  objects: KubernetesObject[],
  kind: Kind,
): OfKind<Kind>[] {
  return objects.filter((one): one is OfKind<Kind> => one.kind === kind);
}

/** Every pod that objects make, by the name of its object. */
export function podsOf(objects: KubernetesObject[]): [string, PodTemplate][] {
  return objects.flatMap((object) =>
    templatesOf(object).map((pod): [string, PodTemplate] => [`${object.kind} ${object.metadata.name}`, pod]),
  );
}

/** The containers of a pod, those before it included. */
export function containersOf({ spec }: PodTemplate): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}
