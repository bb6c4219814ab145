import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { rootScript } from "../../configs/kit/hostFiles";
import { ConfigError } from "../../configs/kit/problems";
import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import { generatedSecrets } from "../../configs/stack/config";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import { stackNames } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { stackFilesIn } from "../../platform/stack/boxFiles";
import { recordedGenerations, recordedModelLock, recordOf } from "../../platform/stack/history";
import { connectStack } from "../../platform/stack/host";
import { readLock } from "../../platform/stack/imageLock";
import { readModelLock } from "../../platform/stack/modelLock";
import { copyRecordedFiles } from "../../platform/stack/ownFiles";
import { recipeReference, recipeRoles } from "../../platform/stack/recipes";
import { readResolved, resolvedPath, resolvedSchema } from "../../platform/stack/resolved";
import { encryptedNames, setNames } from "../../platform/stack/secrets";
import { readStackFile } from "../../platform/stack/stackConfig";
import { garbage, type HostImage, type HostItem, type Inventory, type KeepList } from "./garbage";

/** Recorded generations that stay: the serving one, and the one for a rollback. */
const KEPT_GENERATIONS = 2;

/** An unused thing and its host. */
export interface Garbage extends HostItem {
  /** Address of the Docker engine. */
  docker: string;
  /** The box's data directory. */
  dataDir: string;
  /** An image on the host that has a shell. */
  toolsImage: string;
}

/**
 * Finds what no stack of this project uses any more: images without containers, weights that no config names,
 * directories of removed gateways. Keeps everything that a rollback needs.
 *
 * @throws UserError when a recorded generation cannot be planned any more, so that its needs are unknown
 */
export async function findGarbage(projectDir: string): Promise<Garbage[]> {
  const stacks = stackNames(projectDir).filter((stack) => existsSync(resolvedPath(projectDir, stack)));
  const plans = stacks.map((stack) => plansOf(projectDir, stack));
  const kept: KeepList = {
    plans: plans.flat(),
    generations: stacks.flatMap((stack) => recordedGenerations(projectDir, stack).slice(0, KEPT_GENERATIONS)),
    // Job generations stay because of their containers, including stopped ones.
    images: (["base", ...recipeRoles(projectDir)] as const).map((recipe) =>
      recipeReference(projectDir, recipe),
    ),
  };
  const found: (Garbage & { engine: string })[] = [];
  for (const [current] of plans) {
    if (!current) continue;
    const { docker, dataDir } = current;
    connectStack(projectDir, current.stack);
    const toolsImage = current.edge.container.image;
    // Several addresses may lead to one engine: another socket, or another stack's connection.
    const engine = await dockerAt(docker).output(["info", "--format", "{{.ID}}"]);
    const seen = new Set(found.filter((item) => item.engine === engine).map(({ name }) => name));
    const inventory = await inventoryOf(projectDir, docker, dataDir, toolsImage);
    const items = garbage(inventory, kept).filter(({ name }) => !seen.has(name));
    found.push(...items.map((item) => ({ ...item, docker, engine, dataDir, toolsImage })));
  }
  return found;
}

/**
 * Removes one thing. An image that is in use by now stays.
 *
 * @throws UserError when the host refuses
 */
export async function removeGarbage(item: Garbage): Promise<void> {
  const docker = dockerAt(item.docker);
  const result =
    item.kind === "image"
      ? await docker.run(["image", "rm", item.name])
      : await docker.script(rootScript(item.toolsImage, item.dataDir, 'rm -rf "$1"', [item.name]));
  if (result.code !== 0)
    throw new UserError(
      `${item.name} could not be removed: ${result.stderr.trim().split("\n").at(-1)}.`,
      "Check what uses it, then run `gpubox gc` again.",
    );
}

/** The plan of a stack's present file, followed by the plans of the generations that stay. */
export function plansOf(projectDir: string, stack: string): BoxPlan[] {
  const current = planFile(projectDir, stack, {
    resolved: readResolved(projectDir, stack),
    lock: readModelLock(projectDir),
    secrets: setNames(projectDir, stack),
  });
  const recorded = recordedGenerations(projectDir, stack).slice(0, KEPT_GENERATIONS);
  return [current, ...recorded.map((generation) => planRecorded(projectDir, stack, generation))];
}

function planRecorded(projectDir: string, stack: string, generation: string): BoxPlan {
  const folder = recordOf(projectDir, stack, generation);
  const workdir = mkdtempSync(join(tmpdir(), "gpubox-gc-"));
  try {
    copyFileSync(join(folder, "stack.yaml"), join(workdir, `Pulumi.${stack}.yaml`));
    for (const box of stackFilesIn(folder)) copyFileSync(join(folder, box), join(workdir, box));
    copyRecordedFiles(folder, workdir);
    const present = readResolved(projectDir, stack);
    const path = join(folder, "resolved.json");
    const recorded = existsSync(path)
      ? resolvedSchema.parse(JSON.parse(readFileSync(path, "utf8")))
      : present;
    return planFile(workdir, stack, {
      resolved: { ...recorded, images: { ...present.images, ...recorded.images } as Resolved["images"] },
      lock: recordedModelLock(projectDir, stack, generation),
      secrets: [...setNames(projectDir, stack), ...encryptedNames(workdir, stack)],
    });
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof UserError || error instanceof z.ZodError))
      throw error;
    throw new UserError(
      `It is unknown what generation ${generation} of the stack ${stack} needs: ${error.message}`,
      `If you will never roll back to it, remove ${folder} and run \`gpubox gc\` again.`,
    );
  } finally {
    rmSync(workdir, { recursive: true });
  }
}

/** A config's files and images depend on the names of its secrets, not on their values. */
function planFile(
  folder: string,
  stack: string,
  { secrets, ...known }: { resolved: Resolved; lock: ModelLock; secrets: string[] },
): BoxPlan {
  const names = [...generatedSecrets, ...secrets];
  const standIns = Object.fromEntries(names.map((name) => [name, `sk-stands-in-for-${name}`]));
  // Parsed without the lock: even a config that would be refused today needs its files.
  const raw = { ...readStackFile(folder, stack, standIns), saltFingerprint: undefined };
  return planBox({
    config: parseStack(raw),
    secrets: raw.secrets,
    saltFingerprint: "",
    ...known,
    assets: loadAssets(),
  });
}

async function inventoryOf(
  projectDir: string,
  docker: string,
  dataDir: string,
  toolsImage: string,
): Promise<Inventory> {
  const [images, containers, files] = await Promise.all([
    imagesOf(projectDir, docker),
    containersOf(docker),
    dockerAt(docker).scriptOutput(rootScript(toolsImage, dataDir, LIST, [dataDir])),
  ]);
  const items = files
    .split("\n")
    .map((line) => /^(weights|generation) (\d+)\t(.+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, kind, kib, name]) => ({
      kind: kind as "weights" | "generation",
      bytes: Number(kib) * 1024,
      name: name!,
    }));
  return {
    images,
    usedImages: containers.map(({ image }) => image),
    mounted: containers.flatMap(({ mounts }) => mounts),
    weights: items.filter(({ kind }) => kind === "weights"),
    generations: items.filter(({ kind }) => kind === "generation"),
  };
}

/** Weights of a hub are at hf/OWNER/NAME/REVISION, others are single files. */
const LIST = `cd "$1" || exit 0
list() {
  kind=$1
  shift
  find "$@" 2>/dev/null | while read -r path; do
    du -sk "$path" | sed "s/^/$kind /"
  done
}
list weights "$1/models/hf" -mindepth 3 -maxdepth 3 -type d
list weights "$1/models" -mindepth 1 -maxdepth 1 -type f
list generation "$1/gateway" -mindepth 1 -maxdepth 1 -type d`;

const imageLine = z.object({ Repository: z.string(), Tag: z.string(), Digest: z.string(), ID: z.string() });

/** Images that gpubox built, and those that it pulled by digest, which have no tag. */
async function imagesOf(projectDir: string, docker: string): Promise<HostImage[]> {
  const pulled = Object.values(readLock(projectDir)).map(({ image }) => image);
  const list = ["image", "ls", "--no-trunc", "--digests", "--format", "{{json .}}"];
  const lines = await dockerAt(docker).lines(list);
  const found = lines
    .map((line) => imageLine.parse(JSON.parse(line)))
    .flatMap(({ Repository, Tag, Digest, ID }) => {
      if (Repository.startsWith("gpubox/") && Tag !== "<none>")
        return [{ name: `${Repository}:${Tag}`, id: ID }];
      if (pulled.includes(Repository) && Tag === "<none>" && Digest !== "<none>")
        return [{ name: `${Repository}@${Digest}`, id: ID }];
      return [];
    });
  if (found.length === 0) return [];
  const size = ["image", "inspect", "--format", "{{.Size}}", ...found.map(({ name }) => name)];
  const sizes = (await dockerAt(docker).output(size)).split("\n");
  return found.map((image, index) => ({ ...image, kind: "image", bytes: Number(sizes[index]) }));
}

async function containersOf(docker: string): Promise<{ image: string; mounts: string[] }[]> {
  const containers = await dockerAt(docker).containers({ all: true });
  return containers.map(({ Image, Mounts }) => ({
    image: Image,
    mounts: Mounts.map(({ Source }) => Source),
  }));
}
