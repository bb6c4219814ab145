import { existsSync } from "node:fs";
import type { HostSize, Resolved } from "../../configs/kit/resolved";
import { engineAddress } from "../../configs/network/engine";
import type { StackConfig } from "../../configs/stack/config";
import { imageRolesOf } from "../../configs/stack/neededImages";
import { findDocker } from "../../platform/docker/engine";
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
  const host = config.gateway.replicas === "auto" ? await sizeOf(engineAddress(config)) : undefined;
  const record = before && { offline: before.offlineModels, known: before.knownModels };
  const resolved: Resolved = {
    images,
    offlineModels: offlineModels(config, await modelHubAnswers(config.host.modelHub), record),
    knownModels: Object.keys(config.models),
    ...(host && { host }),
  };
  writePrivateFile(path, `${JSON.stringify(resolved, null, 2)}\n`);
  return resolved;
}

async function sizeOf(docker: string): Promise<HostSize | undefined> {
  const found = await findDocker(docker);
  if (found.state !== "answers") return undefined;
  const { cpus, memoryBytes } = found.engine;
  return { cores: cpus, memoryMiB: Math.floor(memoryBytes / 1024 ** 2) };
}
