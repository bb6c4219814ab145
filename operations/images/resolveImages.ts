import { type ImageName, type ImageRole, isOwnImage } from "../../configs/kit/imageRoles";
import type { Resolved } from "../../configs/kit/resolved";
import type { Architecture } from "../../configs/schema/host";
import type { NeededImage } from "../../configs/stack/neededImages";
import { dockerAt } from "../../platform/docker/client";
import { pullThroughApi } from "../../platform/docker/pull";
import { spaceFailure } from "../../platform/docker/space";
import { UserError } from "../../platform/process";
import { type Report, unreported } from "../../platform/progress";
import type { Log } from "../../platform/project";
import {
  carriedReference,
  type ImageLock,
  type LockEntry,
  lacksArchitecture,
  lockEntry,
  readLock,
  writeLock,
} from "../../platform/stack/imageLock";
import { hasRecipe } from "../../platform/stack/recipes";
import { buildRecipes } from "./buildRecipes";
import { resolveEntry } from "./lockImages";
import { imageName, registryFailure } from "./registry";

export interface ResolveImagesOptions {
  /** Folder that contains `images/`. */
  projectDir: string;
  /** Address of the Docker engine that gets the images. */
  docker: string;
  log: Log;
  /** Gets how far pulls and builds are. */
  report?: Report;
  /** What the stack needs, from `imageRolesOf`. */
  needed: NeededImage[];
  /** The host's processor: an image that the lock knows to have none for it is refused before anybody is asked. */
  arch?: Architecture;
  /**
   * `auto`: pull by locked digest, or build from the recipe when no registry answers. `build`: build wherever there is
   * a recipe. Default: `build` when the environment has GPUBOX_IMAGES=build, otherwise `auto`.
   */
  mode?: "auto" | "build";
}

/**
 * Brings the image of every needed role to the Docker engine and returns its reference. An optional image without a
 * registry and without a recipe becomes `unresolved`, and the plan omits it. An image that is already there needs no
 * network. When a registry answers, a failure to resolve or pull is an error, never a silent switch to the recipe.
 *
 * @throws UserError when the engine does not answer, the lock is not valid, a pull or a build fails, an answering
 * registry has no such tag, or none answers and there is no recipe.
 */
export async function resolveImages(options: ResolveImagesOptions): Promise<Resolved["images"]> {
  const { projectDir, docker, log, report = unreported, needed, arch, mode = modeOfEnvironment() } = options;
  await requireEngine(docker);
  const images: Resolved["images"] = {};
  const buildable = (name: ImageName): name is ImageRole => hasRecipe(projectDir, name);
  const roles = needed.map(({ role }) => role);
  const pulled = roles.filter((role) => mode === "auto" || !buildable(role));
  const lock = readLock(projectDir);
  const locked = pulled.flatMap((role) => {
    const entry = lockEntry(lock, role);
    const reference = lockedReference(entry);
    return reference ? [{ role, reference, carried: carriedReference(entry.digest!) }] : [];
  });
  const present = await dockerAt(docker).images(
    locked.flatMap(({ reference, carried }) => [reference, carried]),
  );
  for (const { role, reference, carried } of locked)
    if (present.has(reference)) images[role] = { reference, source: "digest" };
    else if (present.has(carried)) images[role] = { reference: carried, source: "carried" };
  const absent = pulled.filter((role) => !images[role]);
  for (const { role, model, optional } of needed)
    if (
      absent.includes(role) &&
      !buildable(role) &&
      !optional &&
      lacksArchitecture(lockEntry(lock, role), arch)
    )
      throw otherProcessor(role, model, lockEntry(lock, role), arch!);
  const failures = await registryFailures(lock, absent);
  const unreachable = absent.filter((role) => failures[role] && buildable(role));
  const tagOf = (name: ImageName) => `${lockEntry(lock, name).image}:${lockEntry(lock, name).tag}`;
  const loaded = await dockerAt(docker).images(absent.filter((name) => failures[name]).map(tagOf));
  for (const { role, model, optional } of needed) {
    if (!failures[role] || buildable(role)) continue;
    const reference = tagOf(role);
    const isLocked = lockEntry(lock, role).digest !== null;
    const isThere = loaded.has(reference) && !isLocked;
    if (!optional && !isThere)
      throw isLocked
        ? lockedAway(role, reference, failures[role])
        : noImage(role, model, failures[role], reference);
    log(
      `${role}: ${isThere ? "taken as it is here" : "left out"}, because ${failures[role]} and ${isThere ? "no digest is locked" : "there is no recipe for it"}`,
    );
    images[role] = { reference, source: isThere ? "loaded" : "unresolved" };
  }
  for (const failure of new Set(Object.values(failures))) {
    const concerned = unreachable.filter((role) => failures[role] === failure);
    if (concerned.length > 0) log(`${failure}; built from images/ instead: ${concerned.join(", ")}`);
  }
  const reachable = absent.filter((role) => !failures[role]);
  await resolveMissing(
    projectDir,
    lock,
    needed.filter(({ role }) => reachable.includes(role)),
    log,
  );
  for (const role of reachable)
    images[role] = {
      reference: await pull(role, lockEntry(lock, role), docker, { log, report }),
      source: "digest",
    };
  const rest = roles.filter((role) => !images[role]).filter(buildable);
  const built = rest.length > 0 ? await buildRecipes(rest, { projectDir, docker, log, report }) : {};
  for (const role of rest) images[role] = { reference: built[role]!, source: "recipe" };
  return images;
}

/** `docker load` keeps the tag of an image and not its digest, so that nobody can say whether it is the one that is locked. */
function lockedAway(role: ImageName, reference: string, failure: string): UserError {
  return new UserError(
    `The image ${role} is not on this machine by its locked digest: ${failure}, and there is no recipe for it.`,
    `Run this where the registry answers, or carry it: \`gpubox images save DIR\` there and \`gpubox images load DIR\` here. An image that \`docker load\` brought as ${reference} is taken once ${role} has \`"digest": null\` in the images' lock.json.`,
  );
}

function otherProcessor(
  role: ImageName,
  model: string | undefined,
  { image, tag }: LockEntry,
  arch: Architecture,
): UserError {
  return new UserError(
    `The image ${role} (${image}:${tag})${model ? `, which the model ${model} needs,` : ""} has no build for ${arch}.`,
    `Lock another tag that has one, or ${model ? otherwise(role) : "run the box on a host with another processor"}.`,
  );
}

function noImage(role: ImageName, model: string | undefined, failure: string, reference: string): UserError {
  const needs = isOwnImage(role) ? `gpubox:models.${model}.image names` : `the model ${model} needs`;
  return new UserError(
    `The image ${role}${model ? `, which ${needs},` : ""} is not on this machine: ${failure}, and there is no recipe for it.`,
    `Run this where the registry answers, or bring the image with \`docker save ${reference}\` there and \`docker load\` here` +
      (model ? `, or ${otherwise(role)}.` : "."),
  );
}

/** What a model can do without its image. */
function otherwise(role: ImageName): string {
  if (isOwnImage(role)) return "remove the entry's `image` to run the pinned one";
  return role.startsWith("llama-swap")
    ? "write start: auto or manual for the model, or add your own recipe (docs/images.md)"
    : "remove the model";
}

function modeOfEnvironment(): "auto" | "build" {
  const mode = process.env.GPUBOX_IMAGES || "auto";
  if (mode === "auto" || mode === "build") return mode;
  throw new UserError(`GPUBOX_IMAGES is "${mode}".`, "Set it to auto or build, or unset it.");
}

async function requireEngine(docker: string): Promise<void> {
  const result = await dockerAt(docker).run(["version", "--format", "{{.Server.Version}}"]);
  if (result.code === 0) return;
  const why =
    result.code === 127 ? "the docker command is not installed" : result.stderr.trim().split("\n")[0];
  throw new UserError(
    `The Docker engine at ${docker} does not answer: ${why}.`,
    "Start it, or correct the address.",
  );
}

/** Without the tag: Docker ignores it next to a digest, and `docker-compose` 1.29 fails with both. */
function lockedReference({ image, digest }: LockEntry): string | undefined {
  return digest ? `${image}@${digest}` : undefined;
}

/** Asks each registry once, all at the same time. Returns by role why a registry does not answer. */
async function registryFailures(
  lock: ImageLock,
  roles: ImageName[],
): Promise<Partial<Record<ImageName, string>>> {
  const imageOf = (role: ImageName) => lockEntry(lock, role).image;
  const hostOf = (role: ImageName) => imageName(imageOf(role)).host;
  const byHost = new Map(roles.map((role) => [hostOf(role), imageOf(role)]));
  const failures = new Map(
    await Promise.all(
      [...byHost].map(async ([host, image]) => [host, await registryFailure(image)] as const),
    ),
  );
  return Object.fromEntries(
    roles.flatMap((role) => {
      const failure = failures.get(hostOf(role));
      return failure ? [[role, failure]] : [];
    }),
  );
}

/** Adds the digests that the lock lacks, now that a registry answers. The reviewer of the lock's change decides. */
async function resolveMissing(
  projectDir: string,
  lock: ImageLock,
  needed: NeededImage[],
  log: Log,
): Promise<void> {
  const missing = needed.filter(({ role }) => lockEntry(lock, role).digest === null);
  if (missing.length === 0) return;
  for (const { role, model } of missing) {
    const entry = await resolveEntry(lockEntry(lock, role));
    if (!entry.digest)
      throw new UserError(
        `The image for ${role} cannot be resolved: ${entry.reason}.`,
        isOwnImage(role)
          ? `Correct gpubox:models.${model}.image, or remove it to run the pinned one.`
          : "Correct images/official.json, or set GPUBOX_IMAGES=build to build from the recipes.",
      );
    lock[role] = entry;
    log(`${role}: ${entry.image}:${entry.tag} is ${entry.digest}, signature ${entry.verified}`);
  }
  writeLock(projectDir, lock);
  log("images/lock.json has new digests: review and commit it");
}

async function pull(
  role: ImageName,
  entry: LockEntry,
  docker: string,
  { log, report }: { log: Log; report: Report },
): Promise<string> {
  const reference = lockedReference(entry)!;
  log(`${role}: pulling ${entry.image}:${entry.tag} as ${entry.digest}`);
  const start = Date.now();
  const what = `${role}: pulling`;
  const pulled = await pullThroughApi(docker, reference, ({ done, total, layers, ready }) =>
    report({ what, done, total, unit: "bytes", detail: `${ready} of ${layers} layers unpacked` }),
  );
  if (!pulled) report({ what });
  const result = pulled ? undefined : await dockerAt(docker).run(["pull", "--quiet", reference]);
  report({ what, ended: true });
  const full = result && result.code !== 0 ? spaceFailure(result.stderr, "Docker's host") : undefined;
  if (full) throw new UserError(full.what, full.fix);
  if (result && result.code !== 0)
    throw new UserError(
      `The image for ${role} could not be pulled: ${result.stderr.trim().split("\n").at(-1)}.`,
      "Try again, resolve it again with `gpubox images update`, set GPUBOX_IMAGES=build to build from the recipes, or carry it to a host without a registry: `gpubox images save DIR`, then `gpubox images load DIR`.",
    );
  log(`${role}: pulled in ${Math.round((Date.now() - start) / 1000)} s`);
  return reference;
}
