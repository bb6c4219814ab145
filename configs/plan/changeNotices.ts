import { z } from "zod";
import { gpuTenantSchema, gpuTenants, overlapShortages } from "../capacity/shortage";
import { servicesOf } from "../kit/services";
import type { BoxPlan, ContainerPlan } from "../kit/types";
import { interruptionsOf } from "./interruptions";

/** What a box was when it was last brought up: enough to say what a change interrupts. */
export const deployedBoxSchema = z.object({
  containers: z.record(z.string(), z.string()).describe("Name of a container to its spec hash."),
  files: z.record(z.string(), z.string()).describe("Name of a container to the hash of its files."),
  replicas: z.int().describe("Copies of the gateway."),
  gatewayImage: z.string(),
  usesDatabase: z.boolean(),
  gpus: z
    .array(gpuTenantSchema)
    .optional()
    .describe("Who has how much of which device. Absent without GPUs."),
});

export type DeployedBox = z.infer<typeof deployedBoxSchema>;

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

/** Names of the containers that are there before and after, and are not the same. */
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
 * What clients notice of a change, and what cannot be taken back, a sentence each. Everything that is not in here is a new
 * generation or a reload, and nobody notices.
 *
 * @param before what runs; undefined at the first `up`, and where another machine brought the box up
 */
export function changeNotices(before: DeployedBox | undefined, plan: BoxPlan): string[] {
  if (!before) return [];
  const now = deployedBox(plan);
  const gaps = interruptionsOf(plan, replacedBetween(before, now));
  const crowded = overlapShortages(before.gpus ?? [], plan);
  return [...lastingSteps(before, now), ...[...crowded, ...gaps].map(({ notice }) => notice)];
}

/** What a change does once and no rollback undoes. */
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
