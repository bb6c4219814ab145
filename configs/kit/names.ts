import { createHash } from "node:crypto";

/**
 * Port of a model's valve and backend, 10000 to 29999, made from its name. Docker gives the address of a removed container
 * to the next one at once: with a port of its own, a request that still goes there is refused instead of answered by another
 * model.
 */
export function modelPort(name: string): number {
  return 10_000 + (Number.parseInt(createHash("sha256").update(name).digest("hex").slice(0, 8), 16) % 20_000);
}

/** Port of a slot, 6000 to 9999. It has its own, which differs from the ports of the models in it. */
export function slotPort(slot: string): number {
  return 6_000 + (modelPort(slot) % 4_000);
}

/** Last part of the paths by which smoke and doctor test the edge's checks. It marks their requests in the log. */
export const PROBE = "gpubox-probe";

/** A model's public name as a part of container names: lower case, runs of other characters as one dash. */
export function modelSlug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}
