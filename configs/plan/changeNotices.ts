import { z } from "zod";
import { gpuTenantSchema, gpuTenants, overlapShortages } from "../capacity/shortage";
import type { ContainerPlan } from "../kit/containerPlan";
import { servicesOf } from "../kit/services";
import type { BoxPlan } from "../kit/types";
import { interruptionsOf } from "./interruptions";
import { clusterLosses } from "./kubernetes/losses";
import { kubernetesObjects } from "./kubernetes/render";

/** The box as the last `up` left it, with enough detail to tell what a change interrupts. */
export const deployedBoxSchema = z.object({
  containers: z.record(z.string(), z.string()).describe("Name of a container to its spec hash."),
  files: z.record(z.string(), z.string()).describe("Name of a container to the hash of its files."),
  replicas: z.int().describe("Copies of the gateway."),
  gatewayImage: z.string(),
  usesDatabase: z.boolean(),
  gpus: z
    .array(gpuTenantSchema)
    .optional()
    .describe("Device shares of the model servers. Absent without GPUs."),
  losses: z
    .array(z.string())
    .optional()
    .describe("What it lacks on a cluster, a sentence each. Absent on a host."),
});

export type DeployedBox = z.infer<typeof deployedBoxSchema>;

/** What comparisons need of a box. */
export function deployedBox(plan: BoxPlan): DeployedBox {
  const services = servicesOf(plan);
  const gpus = gpuTenants(plan);
  return {
    containers: Object.fromEntries(services.map(({ container }) => [container.name, spec(container)])),
    files: Object.fromEntries(services.map(({ container, directory }) => [container.name, directory.hash])),
    replicas: plan.gateway.replicas,
    gatewayImage: plan.gateway.container.image,
    usesDatabase: plan.gateway.usesDatabase,
    ...(gpus.length > 0 ? { gpus } : {}),
  };
}

/** What a box lacks on a cluster, a sentence each; nothing on a host. */
export function lossesOf(plan: BoxPlan): string[] {
  return plan.cluster ? clusterLosses(plan, kubernetesObjects(plan)) : [];
}

/** Names of the containers that exist before and after a change and differ. */
export function replacedBetween(before: DeployedBox, after: DeployedBox): Set<string> {
  const names = Object.keys(after.containers);
  return new Set(
    names.filter((name) => {
      const old = before.containers[name];
      return old !== undefined && old !== after.containers[name];
    }),
  );
}

/**
 * What clients notice of a change and what cannot be undone, one sentence each. Every other change is a new generation or a
 * reload, which clients do not notice.
 *
 * @param before the running box; undefined at the first `up`, and when another machine brought the box up
 */
export function changeNotices(before: DeployedBox | undefined, plan: BoxPlan): string[] {
  if (!before) return [];
  const now = deployedBox(plan);
  const gaps = interruptionsOf(plan, replacedBetween(before, now));
  const crowded = overlapShortages(before.gpus ?? [], plan);
  return [...lastingSteps(before, now), ...[...crowded, ...gaps].map(({ notice }) => notice)];
}

/**
 * What a box on a cluster lacks that it did not lack before: told once, because nobody reads what is there each time.
 *
 * @param before what it lacked; undefined at the first `up`, for a box on a host, and when another machine brought it up
 */
export function newLosses(before: string[] | undefined, losses: string[]): string[] {
  return losses.filter((loss) => !before?.includes(loss));
}

/** The parts of a change that no rollback undoes. */
export function lastingSteps(before: DeployedBox, after: DeployedBox): string[] {
  if (!after.usesDatabase || !before.usesDatabase || after.gatewayImage === before.gatewayImage) return [];
  return [
    "The database is backed up and migrated to the schema of the new gateway image. `gpubox rollback` brings the old " +
      "gateway back and not the old schema: for that, restore the backup (docs/backup.md).",
  ];
}

function spec(container: ContainerPlan): string {
  return container.labels["gpubox.spec"] ?? "";
}
