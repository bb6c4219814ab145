import { createHash } from "node:crypto";
import { z } from "zod";
import type { LockedModel } from "../models/facts";
import type { ImageRole } from "../plan/imageRoles";
import { shellQuote } from "../plan/text";
import type { MountPlan, StepPlan } from "../plan/types";
import { weightsDirectory as lockedDirectory, weightsStep } from "../plan/weights";
import type { EngineContext } from "./engine";

const HUB = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/([\w./-]+))?$/;
const HOST = /^file:\/\/(\/[\w./-]+)$/;

/** Weights by where they come from. */
export const modelSource = z
  .string()
  .regex(
    new RegExp(`${HUB.source}|${HOST.source}`),
    "Write hf://owner/repo[@revision][/file], or file:///path/on/the/host.",
  );

/** What a source says: a repository or a file of the model hub, or a path on the host. */
export type Source =
  | { from: "hub"; repo: string; revision: string; file?: string }
  | { from: "host"; path: string };

/** @throws Error for a text that `modelSource` does not accept. */
export function parseSource(text: string): Source {
  const path = HOST.exec(text)?.[1];
  if (path) return { from: "host", path };
  const [, repo, revision = "main", file] = HUB.exec(text) ?? [];
  if (!repo) throw new Error(`model source ${text} passed the schema but has no rule`);
  return { from: "hub", repo, revision, file };
}

/** True for weights in llama.cpp's format. */
export function isGguf(text: string, locked?: LockedModel): boolean {
  return locked?.format === "gguf" || /\.gguf$/i.test(text) || /^hf:\/\/[^@]*-GGUF(@|$)/i.test(text);
}

/** The image with sh and curl that brings files from the hub to the host. */
export const TOOLS: ImageRole = "llamacpp";

/** The images that bring these sources to the host: none for what the host has already. */
export function toolsFor(...sources: (string | undefined)[]): ImageRole[] {
  return sources.some((source) => source !== undefined && !HOST.test(source)) ? [TOOLS] : [];
}

/** Weights on the host: where they lie, how a container sees them, how they get there. */
export interface Weights {
  /** File or directory, the same inside and outside. */
  path: string;
  mount: MountPlan;
  /** Empty for what the host already has. */
  fetch: StepPlan[];
}

type SourceContext = Pick<EngineContext, "modelsDir" | "toolsImage" | "lockedDownload" | "locked">;

/**
 * A GGUF: hf://owner/repo/file, or file:///path.
 *
 * @param context its `locked` has to be the lock of this very source. Without one, as for a model's projector and adapters,
 *   the files are those that the revision has now, and nothing checks them
 */
export function weightsFile(source: string, context: SourceContext): Weights {
  const parsed = parseSource(source);
  if (parsed.from === "host") return { path: parsed.path, mount: readOnly(folderOf(parsed.path)), fetch: [] };
  const { repo, revision, file = "" } = parsed;
  if (context.locked) {
    const { revision: commit, files } = context.locked;
    const path = `${lockedDirectory(context.modelsDir, repo, commit)}/${files[0]?.path ?? file}`;
    return { path, mount: readOnly(folderOf(path)), fetch: [lockedStep(repo, context.locked, context)] };
  }
  const folder = `${context.modelsDir}/hf/${repo}/${revision}`;
  const path = `${folder}/${file}`;
  const steps = shardsOf(file).map((shard) => {
    const part = `${folder}/${shard}.part`;
    const url = `https://huggingface.co/${repo}/resolve/${revision}/${shard}`;
    const get = `curl -fL --retry 5 -C - -o ${part} ${url} && chmod 0644 ${part} && mv -f ${part} ${folder}/${shard}`;
    return `test -s ${folder}/${shard} || { ${get}; }`;
  });
  const [only = ""] = steps;
  const script = steps.length > 1 ? steps.map((step) => `{ ${step}; }`).join(" && ") : only;
  return stored(path, folderOf(path), onHost(context.toolsImage, path, script));
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
 * @param context its `locked` has to be the lock of this very source. Without one, the files are those that the hub lists when
 *   they are downloaded
 */
export function weightsDirectory(source: string, context: SourceContext): Weights {
  const parsed = parseSource(source);
  if (parsed.from === "host") return { path: parsed.path, mount: readOnly(parsed.path), fetch: [] };
  const { repo, revision } = parsed;
  if (context.locked) {
    const path = lockedDirectory(context.modelsDir, repo, context.locked.revision);
    return { path, mount: readOnly(path), fetch: [lockedStep(repo, context.locked, context)] };
  }
  const path = `${context.modelsDir}/hf/${repo}/${revision}`;
  const words = [
    path,
    `https://huggingface.co/${repo}/resolve/${revision}`,
    `https://huggingface.co/api/models/${repo}/revision/${revision}`,
  ];
  const script = `docker run --rm -i --user 0 --entrypoint sh -v ${path}:${path} ${context.toolsImage} -c ${[FETCH, "gpubox", ...words].map(shellQuote).join(" ")}`;
  return stored(path, path, script);
}

function lockedStep(repo: string, model: LockedModel, context: SourceContext): StepPlan {
  return weightsStep({ ...context.lockedDownload, modelsDir: context.modelsDir, repo, model });
}

/**
 * Downloads what the hub lists of a repository, without the copies of the same weights in other formats. Each file is made
 * beside its place, so that an interrupted download goes on where it stopped. No list is a failure: `grep` finds nothing.
 */
const FETCH = `set -eu
cd "$1"; base=$2 api=$3
[ ! -f .complete ] || exit 0
files=$(curl -fsSL --retry 5 "$api" | grep -o '"rfilename":"[^"]*"' | cut -d '"' -f 4 |
  grep -Ev '^[.]git|[.](gguf|bin|pth|pt|onnx|h5|msgpack|ot)$|^(original|onnx|openvino)/')
for file in $files; do
  [ ! -s "$file" ] || continue
  echo "$file"
  curl -fL --retry 5 --create-dirs -C - -o "$file.part" "$base/$file"
  chmod 0644 "$file.part"
  mv -f "$file.part" "$file"
done
find . -type d -exec chmod 0755 {} +
touch .complete`;

/** A file that a step writes, and the step. Models that share it share the step. */
export function stored(path: string, folder: string, script: string): Weights {
  const id = createHash("sha256").update(path).digest("hex").slice(0, 8);
  return { path, mount: readOnly(folder), fetch: [{ name: `weights-${id}`, script }] };
}

/** Files reach the host through the Docker engine alone: whoever may use it needs neither sudo nor a second SSH path. */
export function onHost(image: string, path: string, script: string): string {
  const directory = folderOf(path);
  return `docker run --rm -i --user 0 --entrypoint sh -v ${directory}:${directory} ${image} -c '${script}'`;
}

export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function readOnly(path: string): MountPlan {
  return { kind: "directory", source: path, target: path, readOnly: true };
}
