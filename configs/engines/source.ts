import { createHash } from "node:crypto";
import { z } from "zod";
import type { MountPlan, StepPlan } from "../kit/containerPlan";
import { INPUT_END, rootReader, rootScript } from "../kit/hostFiles";
import type { Problem } from "../kit/problems";
import type { LockedModel } from "../models/facts";
import { lockedSource } from "../models/lock";
import { isPartOf, type RepositoryFiles, TRANSFORMERS } from "../models/repository";
import { type Wanted, weightsFolder, weightsStep } from "../models/weights";
import type { EngineContext, NamedSource } from "./engine";

const HUB = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/([\w./-]+))?$/;
const HOST = /^file:\/\/(\/[\w./+@-]+)$/;

/** Both kinds of a source's text. */
export const SOURCE = new RegExp(`${HUB.source}|${HOST.source}`);

/** What a source says: a repository or a file of the model hub, or a path on the host. */
export type Source = HubSource | { from: "host"; path: string };

export interface HubSource {
  from: "hub";
  repo: string;
  /** A branch, a tag or a commit. Default: `main`. */
  revision: string;
  file?: string;
}

/**
 * Reads `hf://owner/repo[@revision][/path/file.gguf]` or `file:///path`.
 * @throws Error for a text that `SOURCE` does not match
 */
export function parseSource(text: string): Source {
  const path = HOST.exec(text)?.[1];
  if (path) return { from: "host", path };
  const [, repo, revision = "main", file] = HUB.exec(text) ?? [];
  if (!repo) throw new Error(`model source ${text} passed the schema but has no rule`);
  return { from: "hub", repo, revision, file };
}

/** Weights by where they come from. */
export const modelSource = z
  .string()
  .regex(SOURCE, "Write hf://owner/repo[@revision][/file], or file:///path/on/the/host.");

/** The `model` of an entry: all that most engines read. */
export function modelOf({ model = "" }: { model?: string }): NamedSource {
  return { key: "model", source: model, holds: "model" };
}

/** True for weights in llama.cpp's format. */
export function isGguf(text: string, locked?: LockedModel): boolean {
  return locked?.format === "gguf" || /\.gguf$/i.test(text) || /^hf:\/\/[^@]*-GGUF(@|$)/i.test(text);
}

/** Refuses one file of a repository for an engine that reads all of it. A GGUF has its own sentence. */
export function checkRepository(source: string, path: string): Problem[] {
  const parsed = parseSource(source);
  if (parsed.from === "host" || parsed.file === undefined || isGguf(source)) return [];
  return [
    {
      path: `${path}.model`,
      what: `"${source}" names one file, and this engine reads a whole repository.`,
      fix: "Write hf://owner/repo[@revision].",
    },
  ];
}

/** Weights on the host: where they lie, how a container sees them, how they get there. */
export interface Weights {
  /** File or directory, the same inside and outside. */
  path: string;
  mount: MountPlan;
  /** Empty for what the host already has. */
  fetch: StepPlan[];
}

type SourceContext = Pick<EngineContext, "modelsDir" | "downloader" | "lock">;

/** A GGUF: hf://owner/repo/file, or file:///path. */
export function weightsFile(source: string, context: SourceContext): Weights {
  const parsed = parseSource(source);
  if (parsed.from === "host")
    return { path: parsed.path, mount: readOnly(parentFolder(parsed.path)), fetch: [] };
  const { revision, file = "" } = parsed;
  const locked = lockedSource(context.lock, source);
  const { folder, fetch } = download(parsed, locked ?? { revision, paths: shardsOf(file) }, context);
  const path = `${folder}/${locked?.files[0]?.path ?? file}`;
  return { path, mount: readOnly(parentFolder(path)), fetch };
}

/** The canned model's file carries a version: another answer or layout is another file. */
const CANNED_VERSION = "1";

/** The stub model that comes with this package. */
export function cannedWeights({ cannedModel, modelsDir, toolsImage }: EngineContext): Weights {
  const path = `${modelsDir}/canned-${CANNED_VERSION}.gguf`;
  const test = rootScript(toolsImage, modelsDir, 'test -s "$1"', [path]);
  const write = (part: string) =>
    `base64 -d | gunzip > "${part}" && chmod 0644 "${part}" && mv -f "${part}" "$1"`;
  const script = `${test} || ${rootReader(toolsImage, modelsDir, write("$1.part"), [path])}`;
  // A file of each writer's own: of several pods at once, none moves what another one still writes.
  const once = `test -s "$1" || { part=$(mktemp "$1.XXXXXX") && sed -n '/^\\.$/q;p' | ${write("$part")}; }`;
  const inside = {
    ...{ image: toolsImage, command: ["sh", "-c", once, "gpubox", path] },
    ...{ directory: modelsDir, loads: false },
  };
  return {
    path,
    mount: readOnly(modelsDir),
    fetch: [{ ...stored(path, script), stdin: [cannedModel, "\n", INPUT_END], inside }],
  };
}

/** The files of a GGUF in parts, `name-00001-of-00003.gguf`; llama.cpp is given the first and finds the others beside it. */
export function shardsOf(file: string): string[] {
  const [, name, count = "1"] = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(file) ?? [];
  if (name === undefined) return [file];
  return Array.from(
    { length: Number(count) },
    (_, index) => `${name}-${String(index + 1).padStart(5, "0")}-of-${count}.gguf`,
  );
}

/**
 * A whole repository: hf://owner/repo, or file:///directory.
 *
 * @param files what is downloaded of one that is not locked. Default: safetensors and what stands beside them
 */
export function weightsDirectory(
  source: string,
  context: SourceContext,
  files: RepositoryFiles = TRANSFORMERS,
): Weights {
  const parsed = parseSource(source);
  if (parsed.from === "host") return { path: parsed.path, mount: readOnly(parsed.path), fetch: [] };
  const locked = lockedSource(context.lock, source);
  // A tokenizer may lie in the repository of a whole model.
  const wanted = locked && { ...locked, files: locked.files.filter(({ path }) => isPartOf(files, path)) };
  const { folder, fetch } = download(parsed, wanted ?? { revision: parsed.revision, ...files }, context);
  return { path: folder, mount: readOnly(folder), fetch };
}

function download({ repo }: HubSource, wanted: Wanted, { modelsDir, downloader }: SourceContext) {
  const { revision } = wanted;
  const step = weightsStep({
    ...downloader,
    modelsDir,
    repo,
    wanted: "files" in wanted ? { revision, files: wanted.files } : wanted,
  });
  return { folder: weightsFolder(modelsDir, repo, revision), fetch: [step] };
}

/** A step that makes a file or a model by other means than a download, named by what it makes: models that share it share it. */
export function stored(path: string, script: string): StepPlan {
  const id = createHash("sha256").update(path).digest("hex").slice(0, 8);
  return { name: `weights-${id}`, script };
}

export function parentFolder(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** The folder of the host that is mounted for weights; undefined for those of a hub. */
export function hostFolderOf(source: string): string | undefined {
  const parsed = SOURCE.test(source) ? parseSource(source) : undefined;
  if (parsed?.from !== "host") return undefined;
  return parsed.path.endsWith(".gguf") ? parentFolder(parsed.path) || "/" : parsed.path.replace(/\/+$/, "");
}

export function readOnly(path: string): MountPlan {
  return { kind: "directory", source: path, target: path, readOnly: true };
}
