/** Something that gpubox once put on the host. */
export interface HostItem {
  kind: "image" | "weights" | "generation";
  /** Reference of an image, absolute path of the others. */
  name: string;
  bytes: number;
}

/** An image with the id that containers refer to it by. */
export interface HostImage extends HostItem {
  kind: "image";
  id: string;
}

/** What is on one host. */
export interface Inventory {
  images: HostImage[];
  weights: HostItem[];
  generations: HostItem[];
  /** Ids of the images of all containers, stopped ones too. */
  usedImages: string[];
  /** Host paths that containers mount. */
  mounted: string[];
}

/** What must stay, whether it runs or not. */
export interface KeepList {
  /** Plans of every stack's present config, of what serves and of what a rollback would bring back. */
  plans: unknown[];
  /** Generations by name: those that serve, and those that a rollback would bring back. */
  generations: string[];
  /** Images that the next build or `up` uses. */
  images: string[];
}

/**
 * What nothing uses any more, in the order of the inventory. A path or reference that any kept plan so much as mentions
 * stays: a mistake here may cost disk space, never a model.
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
