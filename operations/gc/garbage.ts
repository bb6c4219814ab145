/** Something that gpubox once put on the host. */
export interface HostItem {
  kind: "image" | "weights" | "generation";
  /** Reference of an image, or the absolute path of anything else. */
  name: string;
  bytes: number;
}

/** An image, with the id by which containers refer to it. */
export interface HostImage extends HostItem {
  kind: "image";
  id: string;
}

export interface Inventory {
  images: HostImage[];
  weights: HostItem[];
  generations: HostItem[];
  /** Image ids of all containers, including stopped ones. */
  usedImages: string[];
  /** Host paths that containers mount. */
  mounted: string[];
}

/** What must stay, whether it runs or not. */
export interface KeepList {
  /** Plans of every stack's present config, of the serving generation and of the one for a rollback. */
  plans: unknown[];
  /** Names of generations that serve or that a rollback would restore. */
  generations: string[];
  /** Images for the next build or `up`. */
  images: string[];
}

/**
 * What nothing uses any more, in inventory order. A path or reference that any kept plan mentions stays: a mistake here
 * may cost disk space, but never a model.
 */
export function garbage(inventory: Inventory, kept: KeepList): HostItem[] {
  const texts = kept.plans.map((plan) => JSON.stringify(plan));
  const mentioned = (name: string) => texts.some((text) => text.includes(name));
  const mounted = (path: string) =>
    inventory.mounted.some((one) => one === path || one.startsWith(`${path}/`));
  const images = inventory.images.filter(
    ({ name, id }) => !inventory.usedImages.includes(id) && !kept.images.includes(name) && !mentioned(name),
  );
  const weights = inventory.weights.filter(({ name }) => !mounted(name) && !mentioned(name));
  const generations = inventory.generations.filter(
    ({ name }) =>
      !mounted(name) && !mentioned(name) && !kept.generations.includes(name.slice(name.lastIndexOf("/") + 1)),
  );
  return [...images, ...weights, ...generations].map(({ kind, name, bytes }) => ({ kind, name, bytes }));
}
