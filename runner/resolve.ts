import { existsSync } from "node:fs";
import { engineAddress } from "../configs/host/address";
import { imageRolesOf } from "../configs/plan/neededImages";
import type { Resolved } from "../configs/plan/resolved";
import type { StackConfig } from "../configs/schema/stack";
import { resolveImages } from "./images";
import { modelHubAnswers, offlineModels } from "./modelHub";
import { type Log, writePrivateFile } from "./project";
import { readResolved, resolvedPath } from "./resolved";

export interface ResolveOptions {
  projectDir: string;
  stack: string;
  config: StackConfig;
  log: Log;
}

/** Brings every image to the host, decides which models need their stand-in, and records both for later previews. */
export async function resolve({ projectDir, stack, config, log }: ResolveOptions): Promise<Resolved> {
  const path = resolvedPath(projectDir, stack);
  const before = existsSync(path) ? readResolved(projectDir, stack) : undefined;
  const needed = imageRolesOf(config);
  const images = await resolveImages({ projectDir, docker: engineAddress(config), needed, log });
  const record = before && { offline: before.offlineModels, known: before.knownModels };
  const resolved: Resolved = {
    images,
    offlineModels: offlineModels(config, await modelHubAnswers(config.host.modelHub), record),
    knownModels: Object.keys(config.models),
  };
  writePrivateFile(path, `${JSON.stringify(resolved, null, 2)}\n`);
  return resolved;
}
