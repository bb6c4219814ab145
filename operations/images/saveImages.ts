import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gibibytes } from "../../configs/kit/sizes";
import type { StackConfig } from "../../configs/stack/config";
import { imageRolesOf } from "../../configs/stack/neededImages";
import { asUserError, saveArchive } from "../../platform/docker/archive";
import { dockerAt } from "../../platform/docker/client";
import { findDocker } from "../../platform/docker/engine";
import { architectureOf } from "../../platform/docker/unfit";
import { UserError } from "../../platform/process";
import { type Report, unreported } from "../../platform/progress";
import type { Log } from "../../platform/project";
import { carriedReference, lockEntry, readLock } from "../../platform/stack/imageLock";
import { ARCHIVE, type CarriedFolder, type CarriedImage, MANIFEST } from "./carriedFolder";
import { resolveImages } from "./resolveImages";

export interface SaveImagesOptions {
  projectDir: string;
  config: StackConfig;
  /** Address of this machine's engine, which the images come to first. */
  docker: string;
  folder: string;
  log: Log;
  report?: Report;
}

/**
 * Brings the images of a stack to this machine's engine, as `up` brings them to the host's, and writes them into a
 * folder with their hashes. The manifest is written last: a folder without one is not finished.
 *
 * @throws UserError when an image cannot be had here, or the folder not written
 */
export async function saveImages(options: SaveImagesOptions): Promise<CarriedFolder> {
  const { projectDir, config, docker, folder, log, report = unreported } = options;
  await checkArchitecture(docker, config.host.arch);
  const needed = imageRolesOf(config);
  const resolved = await resolveImages({
    ...{ projectDir, docker, log, report, needed },
    arch: config.host.arch,
  });
  const engine = dockerAt(docker);
  const lock = readLock(projectDir);
  const byReference = new Map<string, CarriedImage>();
  for (const { role } of needed) {
    const image = resolved[role];
    if (!image || image.source === "unresolved") continue;
    const digest = image.source === "digest" ? lockEntry(lock, role).digest : undefined;
    const reference = digest ? carriedReference(digest) : image.reference;
    if (digest) await engine.output(["tag", image.reference, reference]);
    const before = byReference.get(reference);
    byReference.set(reference, {
      ...{ reference, layers: [], bytes: 0, ...(digest ? { digest } : {}) },
      roles: [...(before?.roles ?? []), role],
    });
  }
  const found = await engine.images(byReference.keys());
  const images = [...byReference.values()].map((image) => ({
    ...image,
    layers: found.get(image.reference)?.RootFS?.Layers ?? [],
    bytes: found.get(image.reference)?.Size ?? 0,
  }));
  try {
    mkdirSync(folder, { recursive: true });
    rmSync(join(folder, MANIFEST), { force: true });
  } catch (error) {
    throw asUserError(error);
  }
  const total = images.reduce((sum, { bytes }) => sum + bytes, 0);
  const what = `saving ${images.length} images`;
  const archive = await saveArchive(
    docker,
    images.map(({ reference }) => reference),
    join(folder, ARCHIVE),
    (done) => report({ what, done, total: Math.max(done, total), unit: "bytes" }),
  );
  report({ what, ended: true });
  const manifest: CarriedFolder = { version: 1, arch: config.host.arch, archive, images };
  writeFileSync(join(folder, `${MANIFEST}.new`), `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(join(folder, `${MANIFEST}.new`), join(folder, MANIFEST));
  log(`${folder}: ${images.length} images, ${gibibytes(archive.bytes)}, sha256 ${archive.sha256}`);
  return manifest;
}

/** Images are pulled and built for the engine's own processor. */
async function checkArchitecture(docker: string, wanted: string): Promise<void> {
  const found = await findDocker(docker);
  const own = found.state === "answers" ? architectureOf(found.engine.processor) : undefined;
  if (own === undefined || own === wanted) return;
  throw new UserError(
    `The Docker engine at ${docker} runs on ${own}, and the host of this stack is ${wanted}: its images cannot be had here.`,
    `Run this on a machine that is ${wanted}.`,
  );
}
