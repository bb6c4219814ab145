import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Problem } from "../../configs/kit/problems";
import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import type { KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { clusterRefusals } from "../../configs/plan/kubernetes/refusals";
import { kubernetesObjects } from "../../configs/plan/kubernetes/render";
import { saltFingerprint } from "../../configs/secrets/facts";
import { withoutLeftOut } from "../../configs/stack/optionalModels";
import { secretManifests } from "../../operations/kubernetes/manifests";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { everyImage } from "./engines";
import { rawStack, testSecrets } from "./stacks";

/** A stack as a cluster would have it. */
export interface ClusterSide {
  plan: BoxPlan;
  namespace: string;
  /** Without Secrets. */
  objects: KubernetesObject[];
  /** With the values of the test's secrets. */
  secrets: object[];
  /** What of it only one host can do. */
  refused: Problem[];
}

/** Renders a stack config for a cluster. */
export function clusterSide(
  values: Record<string, unknown>,
  {
    secrets = testSecrets,
    resolved = everyImage,
  }: { secrets?: Record<string, string>; resolved?: Resolved } = {},
): ClusterSide {
  const raw = { ...rawStack(values, secrets), lock: {} };
  const config = parseStack(raw);
  const plan = planBox({
    config,
    lock: {},
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved,
    assets: loadAssets(packageDir),
    target: "kubernetes",
  });
  const objects = kubernetesObjects(plan);
  return {
    plan,
    namespace: plan.cluster?.namespace ?? "",
    objects,
    secrets: secretManifests(plan, secrets),
    refused: clusterRefusals(withoutLeftOut(config, raw.secrets), plan, objects),
  };
}

/** The config of a stack file of this project, without the `gpubox:` of its keys. */
export function exampleConfig(file: string): Record<string, unknown> {
  const { config } = parse(readFileSync(join(packageDir, file), "utf8")) as {
    config: Record<string, unknown>;
  };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^gpubox:/, ""), value]),
  );
}
