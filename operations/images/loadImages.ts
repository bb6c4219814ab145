import { statSync } from "node:fs";
import { join } from "node:path";
import { gibibytes } from "../../configs/kit/sizes";
import { dockerHostName, engineAddress } from "../../configs/network/engine";
import { loadArchive, sumFile } from "../../platform/docker/archive";
import { dockerAt } from "../../platform/docker/client";
import { findDocker } from "../../platform/docker/engine";
import { architectureOf } from "../../platform/docker/unfit";
import { disks } from "../../platform/machine";
import { UserError } from "../../platform/process";
import { type Report, unreported } from "../../platform/progress";
import type { Log } from "../../platform/project";
import type { StackHost } from "../../platform/ssh/connection";
import { recipeReference, recipeRoles } from "../../platform/stack/recipes";
import { ARCHIVE, type CarriedFolder, isCarried, readFolder } from "./carriedFolder";

export interface LoadImagesOptions {
  projectDir: string;
  at: StackHost;
  folder: string;
  log: Log;
  report?: Report;
}

/** What a folder's images became. */
export interface LoadedImages {
  /** Names of the images that the engine has now; `up` finds each by it. */
  images: string[];
  /** False where all of them were there before. */
  loaded: boolean;
}

/**
 * Brings the images of a folder to a stack's host, once their file is whole, and compares what arrived layer by layer.
 *
 * @throws UserError when the folder is not whole, is for another processor, or does not fit; the host is then as it was
 */
export async function loadImages(options: LoadImagesOptions): Promise<LoadedImages> {
  const { at, folder, log, projectDir, report = unreported } = options;
  const carried = readFolder(folder);
  const docker = engineAddress(at);
  const name = dockerHostName(at.host.docker);
  const images = carried.images.map(({ reference }) => reference);
  if ((await missing(carried, docker)).length === 0) {
    log(`${name} has all ${images.length} images already`);
    return { images, loaded: false };
  }
  await checkEngine(carried, docker, name);
  await checkArchive(carried, folder, report);
  const what = `loading ${images.length} images`;
  const total = carried.archive.bytes;
  await loadArchive(docker, join(folder, ARCHIVE), (done) => report({ what, done, total, unit: "bytes" }));
  report({ what, ended: true });
  const wrong = await missing(carried, docker);
  if (wrong.length > 0)
    throw new UserError(
      `What arrived on ${name} is not what the folder says: ${wrong.join(", ")}.`,
      "Run `gpubox images save` again, and carry the folder whole.",
    );
  log(`${name} has ${images.length} images, ${gibibytes(total)}`);
  for (const line of otherRecipes(carried, projectDir)) log(`  note: ${line}`);
  return { images, loaded: true };
}

/** Images that an engine does not have, or has with other layers. */
async function missing({ images }: CarriedFolder, docker: string): Promise<string[]> {
  const found = await dockerAt(docker).images(images.map(({ reference }) => reference));
  return images
    .filter((image) => !isCarried(image, found.get(image.reference)))
    .map(({ reference }) => reference);
}

async function checkEngine({ arch, images }: CarriedFolder, docker: string, name: string): Promise<void> {
  const found = await findDocker(docker);
  if (found.state !== "answers")
    throw new UserError(`Docker on ${name} does not answer.`, "Look at `gpubox doctor`.");
  const own = architectureOf(found.engine.processor);
  if (own !== undefined && own !== arch)
    throw new UserError(
      `The images are for ${arch}, and ${name} is ${own}.`,
      `Run \`gpubox images save\` on a machine that is ${own}, with gpubox:host.arch: ${own}.`,
    );
  const [disk] = await disks(docker, [found.engine.dataRoot]);
  const bytes = images.reduce((sum, image) => sum + image.bytes, 0);
  if (disk && disk.freeBytes < bytes)
    throw new UserError(
      `The images need ${gibibytes(bytes)}, and ${name} has ${gibibytes(disk.freeBytes)} free for ${found.engine.dataRoot}.`,
      "Run `gpubox gc --yes`, or look at `docker system df` there.",
    );
}

async function checkArchive({ archive }: CarriedFolder, folder: string, report: Report): Promise<void> {
  const path = join(folder, ARCHIVE);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  const fix = "Copy the folder again, or run `gpubox images save` again.";
  if (size !== archive.bytes)
    throw new UserError(
      `${path} ${size === undefined ? "does not exist" : `has ${size} bytes, and was saved with ${archive.bytes}`}.`,
      fix,
    );
  const what = "checking the images' file";
  const { sha256 } = await sumFile(path, (done) => report({ what, done, total: size, unit: "bytes" }));
  report({ what, ended: true });
  if (sha256 !== archive.sha256)
    throw new UserError(`${path} is damaged: its sha256 is ${sha256}, and was ${archive.sha256}.`, fix);
}

/** Recipes of another version of gpubox: `up` would not take their images, and build its own. */
function otherRecipes({ images }: CarriedFolder, projectDir: string): string[] {
  const own = new Map(recipeRoles(projectDir).map((role) => [role as string, role]));
  return images.flatMap(({ reference, roles }) =>
    roles.flatMap((name) => {
      const role = own.get(name);
      if (!role || !reference.startsWith(`gpubox/${role}:`)) return [];
      const wanted = recipeReference(projectDir, role);
      return wanted === reference ? [] : [`this checkout wants ${wanted}, and the folder has ${reference}`];
    }),
  );
}
