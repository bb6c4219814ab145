import { z } from "zod";
import { DRAIN_SECONDS } from "./llamaSwap";
import type { BoxPlan, ContainerPlan } from "./types";

/** What a box was when it was last brought up: enough to say what a change interrupts. */
export const deployedSchema = z.object({
  edge: z.string().describe("Spec hash of the edge's container."),
  gatewayImage: z.string(),
  usesDatabase: z.boolean(),
  backends: z.record(z.string(), z.string()).describe("Instance to the spec hash of its container."),
  slots: z.record(z.string(), z.string()).default({}).describe("Slot to the spec hash of its container."),
});

export type Deployed = z.infer<typeof deployedSchema>;

/** Seconds from the edge's stop to the healthy answer of the next one, beyond its grace; measured 2 to 4. */
const EDGE_START_SECONDS = 5;

export function deployedBy(plan: BoxPlan): Deployed {
  return {
    edge: spec(plan.edge.container),
    gatewayImage: plan.gateway.container.image,
    usesDatabase: plan.gateway.usesDatabase,
    backends: Object.fromEntries(
      plan.backends.map(({ instance, service }) => [instance, spec(service.container)]),
    ),
    slots: Object.fromEntries(plan.slots.map(({ name, service }) => [name, spec(service.container)])),
  };
}

/**
 * What clients notice of a change, and what cannot be taken back, a sentence each. Everything that is not in here is a new
 * generation or a reload, and nobody notices.
 *
 * @param before what runs; undefined at the first `up`, and where another machine brought the box up
 */
export function announcements(before: Deployed | undefined, plan: BoxPlan): string[] {
  if (!before) return [];
  const now = deployedBy(plan);
  const said: string[] = [];
  if (now.edge !== before.edge) {
    const grace = plan.edge.container.stopGraceSeconds;
    said.push(
      `The edge is replaced, because its image, a port or an address changes: for about ${grace + EDGE_START_SECONDS} s ` +
        `nobody gets in, and streams that last longer than ${grace} s are cut.`,
    );
  }
  if (now.usesDatabase && before.usesDatabase && now.gatewayImage !== before.gatewayImage)
    said.push(
      "The database is backed up and migrated to the schema of the new gateway image. `npm run rollback` brings the old " +
        "gateway back and not the old schema: for that, restore the backup (docs/backup.md).",
    );
  for (const { instance, service, holdSeconds } of plan.backends) {
    const old = before.backends[instance];
    if (old !== undefined && old !== now.backends[instance])
      said.push(
        `The backend of ${instance} is replaced in place: until the new one has loaded, for at most ` +
          `${service.container.readySeconds} s, its requests wait ${holdSeconds} s and then get a 503. Other models notice nothing.`,
      );
  }
  for (const { name, members } of plan.slots) {
    const old = before.slots[name];
    if (old !== undefined && old !== now.slots[name])
      said.push(
        `The slot ${name} is replaced in place: what it has loaded is unloaded, and what still runs after ` +
          `${DRAIN_SECONDS} s is cut. Requests to ${members.map(({ model }) => model).join(", ")} wait for it, and load their model again.`,
      );
  }
  return said;
}

function spec(container: ContainerPlan): string {
  return container.labels["gpubox.spec"] ?? "";
}
