import type { Architecture } from "../schema/host";
import type { ImageRole } from "./imageRoles";

export interface ResolvedImage {
  /** Literal reference to run. */
  reference: string;
  /** `digest`: pulled by locked digest. `recipe`: built here from `images/`. `unresolved`: by tag, nothing is locked yet. */
  source: "digest" | "recipe" | "unresolved";
  /** Bytes of a pull by the host's architecture, where the lock has them. */
  bytes?: Partial<Record<Architecture, number>>;
}

/** What this machine could obtain. `gpubox up` records it in `.gpubox/resolved.<stack>.json`; every preview reads it. */
export interface Resolved {
  /** Only of the roles that the stack needs. */
  images: Partial<Record<ImageRole, ResolvedImage>>;
  /** Model names whose `offlineModel` is served, because no model hub answered when they were first brought up. */
  offlineModels: string[];
  /** Model names that were known then. */
  knownModels: string[];
}
