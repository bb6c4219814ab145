import { statSync } from "node:fs";
import type { LockedFile, LockedModel } from "../../configs/models/facts";
import { UserError } from "../process";
import { readGguf } from "./gguf";
import { asked, filesAt, type HubAccess, hubFetch, hubUrl, resolveRevision } from "./hub";
import { readSafetensors } from "./safetensors";
import { type ModelSource, parseSource } from "./source";

/** The revision that a source has now, without reading the model: the commit, or for a file of the host nothing. */
export function currentRevision(source: ModelSource, access: HubAccess): Promise<string> {
  return source.kind === "hub" ? resolveRevision(source.repo, source.revision, access) : Promise.resolve("");
}

/**
 * Everything that is locked of a source: files, sizes, shape. Reads headers only.
 *
 * @param text the source as in the stack config
 * @throws UserError where it cannot be read
 */
export async function resolveModel(text: string, access: HubAccess): Promise<LockedModel> {
  const source = parseSource(text);
  const revision = await currentRevision(source, access);
  const resolvedAt = new Date().toISOString();
  if (source.kind === "host") return { ...(await hostGguf(source.path)), revision, resolvedAt };
  const all = await filesAt(source.repo, revision, access);
  const found = source.file
    ? await hubGguf(source.repo, revision, source.file, all, access)
    : await hubRepository(source.repo, revision, all, access);
  return { ...found, revision, resolvedAt };
}

type Found = Omit<LockedModel, "revision" | "resolvedAt">;

async function hubRepository(
  repo: string,
  revision: string,
  all: LockedFile[],
  access: HubAccess,
): Promise<Found> {
  const ggufs = all.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
  if (!all.some(({ path }) => path.endsWith(".safetensors")))
    throw new UserError(
      `${repo} has no safetensors files.`,
      ggufs.length > 0
        ? `Name one of its GGUF files: ${ggufs.slice(0, 8).join(", ")}${ggufs.length > 8 ? ", …" : ""}.`
        : "Name a repository of safetensors, or a GGUF file.",
    );
  return { format: "safetensors", ...(await readSafetensors(repo, revision, all, access)) };
}

async function hubGguf(
  repo: string,
  revision: string,
  file: string,
  all: LockedFile[],
  access: HubAccess,
): Promise<Found> {
  if (!file.endsWith(".gguf"))
    throw new UserError(`${file} of ${repo} is no GGUF.`, "Name a .gguf file, or the repository alone.");
  if (!all.some(({ path }) => path === file)) {
    const others = all.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
    throw new UserError(
      `${repo} has no file ${file}.`,
      `It has ${others.slice(0, 8).join(", ") || "no GGUF"}.`,
    );
  }
  const base = `${hubUrl(access)}/${repo}/resolve/${revision}/`;
  const { shards, ...weights } = await asked(repo, access, () =>
    readGguf({ at: base + file, local: false, fetch: hubFetch(access) }),
  );
  const paths = shards.map((url) => url.slice(base.length));
  return { format: "gguf", files: all.filter(({ path }) => paths.includes(path)), ...weights };
}

async function hostGguf(path: string): Promise<Found> {
  const missing = new UserError(
    `${path} is not on this machine.`,
    "Lock it where the file is: run `npm run models lock` on the host, and commit models.lock.json.",
  );
  if (!statSync(path, { throwIfNoEntry: false })) throw missing;
  const { shards, ...weights } = await readGguf({ at: path, local: true }).catch((error: unknown) => {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${path} cannot be read as a GGUF: ${reason}.`,
      "Give the path of a whole GGUF file.",
    );
  });
  return {
    format: "gguf",
    files: shards.map((shard) => ({ path: shard, bytes: statSync(shard).size })),
    ...weights,
  };
}
