import type { Architecture } from "../schema/host";
import { type ImageName, type ImageRole, isOwnImage, type OwnImage } from "./imageRoles";

export interface ResolvedImage {
  /** Literal reference to run. */
  reference: string;
  /**
   * `digest`: pulled by locked digest. `carried`: the image of the locked digest, brought by `gpubox images load`. `recipe`: built here
   * from `images/`. `loaded`: by tag, as somebody loaded it into the engine. `unresolved`: by tag, nothing is locked yet.
   */
  source: "digest" | "carried" | "recipe" | "loaded" | "unresolved";
  /** Bytes of a pull by the host's architecture, where the lock has them. */
  bytes?: Partial<Record<Architecture, number>>;
}

/** What is resolved of an image. One that an entry names itself is there by its tag where nothing else is known of it. */
export function resolvedImage(
  { images }: Pick<Resolved, "images">,
  name: ImageName,
): ResolvedImage | undefined {
  return images[name] ?? (isOwnImage(name) ? { reference: name, source: "unresolved" } : undefined);
}

/** True where nothing says which image a tag has to be. */
export function isUnlocked(image: ResolvedImage | undefined): image is ResolvedImage {
  return image?.source === "unresolved" || image?.source === "loaded";
}

/**
 * True where an image is known to have no build for a processor.
 *
 * @param bytes of a pull by architecture; a registry was asked for each
 */
export function lacksBuild(bytes: ResolvedImage["bytes"], arch: Architecture | undefined): boolean {
  return (
    bytes !== undefined && arch !== undefined && Object.keys(bytes).length > 0 && bytes[arch] === undefined
  );
}

/** What this machine could obtain. `gpubox up` records it in `.gpubox/resolved.<stack>.json`; every preview reads it. */
export interface Resolved {
  /** Only of the roles that the stack needs. */
  images: Partial<Record<ImageRole, ResolvedImage>> & { [Own in OwnImage]: ResolvedImage };
  /** Model names whose `offlineModel` is served, because no model hub answered when they were first brought up. */
  offlineModels: string[];
  /** Model names that were known then. */
  knownModels: string[];
  /** Missing until the first `gpubox up` of a config that asks for it, as `replicas: auto` does. */
  host?: HostSize;
}

/** What Docker says of its host. */
export interface HostSize {
  cores: number;
  memoryMiB: number;
}
