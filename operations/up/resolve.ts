import { existsSync } from "node:fs";
import type { Resolved } from "../../configs/kit/resolved";
import { engineAddress } from "../../configs/network/engine";
import type { StackConfig } from "../../configs/stack/config";
import { imageRolesOf } from "../../configs/stack/neededImages";
import type { Report } from "../../platform/progress";
import { type Log, writePrivateFile } from "../../platform/project";
import { readResolved, resolvedPath } from "../../platform/stack/resolved";
import { resolveImages } from "../images/resolveImages";
import { modelHubAnswers, offlineModels } from "./modelHub";

export interface ResolveOptions {
  projectDir: string;
  stack: string;
  config: StackConfig;
  log: Log;
  report?: Report;
}

/** Brings every image to the host, decides which models need their stand-in, and records both for later previews. */
export async function resolve({ projectDir, stack, config, log, report }: ResolveOptions): Promise<Resolved> {
  const path = resolvedPath(projectDir, stack);
  const before = existsSync(path) ? readResolved(projectDir, stack) : undefined;
  const needed = imageRolesOf(config);
  const { arch } = config.host;
  const images = await resolveImages({
    projectDir,
    docker: engineAddress(config),
    needed,
    arch,
    log,
    report,
  });
  const record = before && { offline: before.offlineModels, known: before.knownModels };
  const resolved: Resolved = {
    images,
    offlineModels: offlineModels(config, await modelHubAnswers(config.host.modelHub), record),
    knownModels: Object.keys(config.models),
  };
  writePrivateFile(path, `${JSON.stringify(resolved, null, 2)}\n`);
  return resolved;
}
