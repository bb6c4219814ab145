import { statSync } from "node:fs";
import { join } from "node:path";
import { parseSource, SOURCE, type Source } from "../../configs/engines/source";
import type { Locked, LockedFile, LockedModel, LockedPart } from "../../configs/models/facts";
import { ADAPTER, isPartOf, type RepositoryFiles, SPEECH, TOKENIZER } from "../../configs/models/repository";
import { UserError } from "../../platform/process";
import { readGguf } from "./gguf";
import { filesBelow, hubOf } from "./hostDirectory";
import { asked, filesAt, type HubAccess, hubFetch, hubUrl, resolveRevision } from "./hub";
import { readSafetensors } from "./safetensors";

/** The revision that a source has now, without reading the model: the commit. A file of the host has none. */
export function currentRevision(source: Source, access: HubAccess): Promise<string> {
  return source.from === "hub" ? resolveRevision(source.repo, source.revision, access) : Promise.resolve("");
}

/**
 * Parses a source in a stack config.
 *
 * @throws UserError for any other text
 */
export function readSource(text: string): Source {
  if (SOURCE.test(text)) return parseSource(text);
  throw new UserError(
    `"${text}" is not a source of a model.`,
    "Write hf://owner/repo, hf://owner/repo@revision/file.gguf or file:///path/file.gguf.",
  );
}

/**
 * Everything that the lock has of a source: files, sizes, and a model's shape. Reads only headers.
 *
 * @param text the source as in the stack config
 * @throws UserError when it cannot be read
 */
export async function resolveSource(text: string, access: HubAccess): Promise<Locked> {
  const source = readSource(text);
  const revision = await currentRevision(source, access);
  const resolvedAt = new Date().toISOString();
  if (source.from === "host") return { ...(await onThisMachine(source.path)), revision, resolvedAt };
  const all = await filesAt(source.repo, revision, access);
  const found = source.file
    ? await hubFile(source.repo, revision, source.file, all, access)
    : await repository(source.repo, revision, all, access);
  return { ...found, revision, resolvedAt };
}

type Found = Omit<LockedModel, "revision" | "resolvedAt"> | Omit<LockedPart, "revision" | "resolvedAt">;

/** @param repo its name, for messages */
async function repository(
  repo: string,
  revision: string,
  all: LockedFile[],
  access: HubAccess,
): Promise<Found> {
  const has = (name: RegExp) => all.some(({ path }) => name.test(path));
  const ggufs = all.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
  if (has(/^adapter_config\.json$/) && !has(/^config\.json$/) && has(/^[^/]+\.safetensors$/))
    return part("adapter", ADAPTER, all);
  const noSafetensors = !has(/\.safetensors$/);
  if (noSafetensors && ggufs.length === 0 && has(/(^model\.bin|\.onnx)$/)) return part("speech", SPEECH, all);
  if (
    noSafetensors &&
    ggufs.length === 0 &&
    has(/^(tokenizer(_config)?\.json|tokenizer\.model|tekken\.json)$/)
  )
    return part("tokenizer", TOKENIZER, all);
  if (noSafetensors)
    throw new UserError(
      `${repo} has no safetensors files.`,
      ggufs.length > 0
        ? `Name one of its GGUF files: ${ggufs.slice(0, 8).join(", ")}${ggufs.length > 8 ? ", …" : ""}.`
        : "Name a repository of safetensors, or a GGUF file.",
    );
  return { format: "safetensors", ...(await readSafetensors(repo, revision, all, access)) };
}

/** Reads none of it: its memory is about the size of its weights on disk. */
function part(holds: LockedPart["holds"], kind: RepositoryFiles, all: LockedFile[]): Found {
  const files = all.filter(({ path }) => isPartOf(kind, path));
  const weights = files.filter(({ path }) => /\.(safetensors|bin|onnx)$/.test(path));
  return { holds, files, weightBytes: weights.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function hubFile(
  repo: string,
  revision: string,
  file: string,
  all: LockedFile[],
  access: HubAccess,
): Promise<Found> {
  const named = all.filter(({ path }) => path === file);
  if (named.length === 0) {
    const ending = file.slice(file.lastIndexOf("."));
    const others = all.map(({ path }) => path).filter((path) => path.endsWith(ending));
    throw new UserError(
      `${repo} has no file ${file}.`,
      `It has ${others.slice(0, 8).join(", ") || `no ${ending === ".gguf" ? "GGUF" : `file *${ending}`}`}.`,
    );
  }
  if (!file.endsWith(".gguf")) return plainFile(named);
  const base = `${hubUrl(access)}/${repo}/resolve/${revision}/`;
  const gguf = await asked(repo, access, () =>
    readGguf({ at: base + file, local: false, fetch: hubFetch(access) }),
  );
  const paths = gguf.shards.map((url) => url.slice(base.length));
  const files = all.filter(({ path }) => paths.includes(path));
  return foundGguf(gguf, files);
}

/** A template or a grammar takes no memory to speak of. */
function plainFile(files: LockedFile[]): Found {
  return { holds: "file", files, weightBytes: 0 };
}

function foundGguf({ part, model }: Awaited<ReturnType<typeof readGguf>>, files: LockedFile[]): Found {
  if (part) return { holds: part, files, weightBytes: model.weightBytes };
  return { format: "gguf", files, ...model };
}

async function onThisMachine(path: string): Promise<Found> {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (!entry)
    throw new UserError(
      `${path} is not on this machine.`,
      "Lock it on its host: run `gpubox models lock` there, and commit models.lock.json.",
    );
  if (!entry.isDirectory()) return hostFile(path);
  const found = await repository(path, "main", filesBelow(path), hubOf(path));
  return { ...found, files: found.files.map((file) => ({ ...file, path: join(path, file.path) })) };
}

async function hostFile(path: string): Promise<Found> {
  if (!path.endsWith(".gguf")) return plainFile([{ path, bytes: statSync(path).size }]);
  const gguf = await readGguf({ at: path, local: true }).catch((error: unknown) => {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${path} cannot be read as a GGUF: ${reason}.`,
      "Give the path of a whole GGUF file.",
    );
  });
  return foundGguf(
    gguf,
    gguf.shards.map((shard) => ({ path: shard, bytes: statSync(shard).size })),
  );
}
