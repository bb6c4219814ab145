/** Keys of an entry that name a file or a directory, and the way of what they name into the container. */

import { createHash } from "node:crypto";
import { z } from "zod";
import type { MountPlan, StepPlan } from "../kit/containerPlan";
import type { Problem } from "../kit/problems";
import { configFile, type FilePlan } from "../kit/text";
import type { Holds } from "../models/facts";
import { TOKENIZER } from "../models/repository";
import type { EngineContainer, EngineContext, FileKeys, FileKind, NamedSource } from "./engine";
import { type Option, option } from "./options";
import { modelSource, parentFolder, parseSource, SOURCE, weightsDirectory, weightsFile } from "./source";

/** A file beside the stack file. */
export const OWN = /^\.\/(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)*$/;

const ABSOLUTE = /^\/[\w./-]*[\w.-]$/;

/** A key of an engine's settings that names a model. */
const MODEL_KEY = /model$/;

const HUB_NAME = /^[\w.-]+\/[\w.-]+$/;

const WAYS: Record<Exclude<FileKind, "settings">, string> = {
  text: "hf://owner/repo[@revision]/file, file:///path/on/the/host, ./file beside the stack file, or the absolute path of a file in the container",
  gguf: "hf://owner/repo[@revision]/file.gguf, or file:///path/on/the/host.gguf",
  weights:
    "hf://owner/repo[@revision], file:///directory/on/the/host, or the absolute path of a directory in the container",
  tokenizer:
    "hf://owner/repo[@revision], file:///directory/on/the/host, or the absolute path of a directory in the container",
};

function typeOf(kind: Exclude<FileKind, "settings">): z.ZodString {
  if (kind === "gguf") return modelSource;
  const forms = [SOURCE, ABSOLUTE, ...(kind === "text" ? [OWN] : [])];
  return z.string().regex(new RegExp(forms.map(({ source }) => source).join("|")), `Write ${WAYS[kind]}.`);
}

/** A row for a key that names a file, as {@link option} makes one for any other key. */
export function fileOption<Kind extends Exclude<FileKind, "settings">>(
  names: string,
  kind: Kind,
  about: string,
) {
  return { ...option(names, typeOf(kind).optional().describe(`${about} ${WAYS[kind]}.`)), file: kind };
}

/** The same for a key that may also be a word of the engine's: the name of a template that it brings. */
export function fileOrWordOption(names: string, about: string) {
  const type = z.union([typeOf("text"), z.string().regex(/^[A-Za-z][\w.-]*$/)], {
    error: `Write ${WAYS.text}; or a name that the engine knows.`,
  });
  return { ...option(names, type.optional().describe(`${about} ${WAYS.text}.`)), file: "text" as const };
}

/** The keys of a table that name files. */
export function fileKeysOf(options: Record<string, Option & { file?: FileKind }>): FileKeys {
  return Object.fromEntries(
    Object.entries(options).flatMap(([key, { file }]) => (file ? [[key, file]] : [])),
  );
}

/** A text of an entry that names something, with where it stands. */
interface Named {
  key: string;
  kind: FileKind;
  text: string;
}

function namedIn(keys: FileKeys, model: object): Named[] {
  const values = model as Record<string, unknown>;
  return Object.entries(keys).flatMap(([key, kind]) =>
    textsOf(values[key], key).map((one) => ({ ...one, kind })),
  );
}

function textsOf(value: unknown, key: string): { key: string; text: string }[] {
  if (typeof value === "string") return [{ key, text: value }];
  if (Array.isArray(value)) return value.flatMap((one, index) => textsOf(one, `${key}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => textsOf(one, `${key}.${name}`));
}

const HOLDS: Record<FileKind, Holds | "anything"> = {
  text: "file",
  gguf: "model",
  weights: "model",
  tokenizer: "tokenizer",
  settings: "anything",
};

/** What an entry's keys name of a hub or of the host. */
export function fileSources(keys: FileKeys, model: object): NamedSource[] {
  return namedIn(keys, model)
    .filter(({ text }) => SOURCE.test(text))
    .map(({ key, kind, text }) => ({ key, source: text, holds: HOLDS[kind] }));
}

/** The files beside the stack file that an entry names, by the key that names them. */
export function ownFilesOf(keys: FileKeys, model: object): { key: string; path: string }[] {
  return namedIn(keys, model)
    .filter(({ kind, text }) => kind === "text" && OWN.test(text))
    .map(({ key, text }) => ({ key, path: text }));
}

/** The absolute paths that an entry names. They lie in its image, or a mount brings them. */
export function containerPathsOf(keys: FileKeys, model: object): { key: string; path: string }[] {
  return namedIn(keys, model)
    .filter(({ text }) => text.startsWith("/"))
    .map(({ key, text }) => ({ key, path: text }));
}

/** A model's or a tokenizer's name on a hub as engines write it, `owner/name`, as a source. Anything else as it is. */
export function asSource(kind: FileKind | undefined, value: unknown, key = ""): unknown {
  if (typeof value === "string") {
    const isName = kind === "weights" || kind === "tokenizer" || (kind === "settings" && MODEL_KEY.test(key));
    return isName && HUB_NAME.test(value) ? `hf://${value}` : value;
  }
  if (kind !== "settings" || typeof value !== "object" || value === null || Array.isArray(value))
    return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, asSource(kind, one, name)]));
}

/** The folders of the host that are mounted for what an entry's keys name. */
export function hostFoldersOf(keys: FileKeys, model: object): { key: string; folder: string }[] {
  return namedIn(keys, model).flatMap(({ key, kind, text }) => {
    const source = SOURCE.test(text) ? parseSource(text) : undefined;
    if (source?.from !== "host") return [];
    return [{ key, folder: isFile(kind, text) ? parentFolder(source.path) || "/" : source.path }];
  });
}

/** Refuses a repository for a key that wants a file, and the other way round. `path` is the entry's. */
export function checkFiles(keys: FileKeys, model: object, path: string): Problem[] {
  return namedIn(keys, model).flatMap(({ key, kind, text }) => {
    if (kind === "settings" && MODEL_KEY.test(key) && HUB_NAME.test(text))
      return [
        {
          path: `${path}.${key}`,
          what: `The engine has no way to a hub, where "${text}" would be.`,
          fix: `Write hf://${text}.`,
        },
      ];
    const what = SOURCE.test(text) ? flawOf(kind, text) : undefined;
    return what && kind !== "settings" ? [{ path: `${path}.${key}`, what, fix: `Write ${WAYS[kind]}.` }] : [];
  });
}

function flawOf(kind: FileKind, text: string): string | undefined {
  const source = parseSource(text);
  const file = source.from === "host" ? source.path : source.file;
  if (kind === "gguf" && !file?.endsWith(".gguf")) return `"${text}" is no GGUF.`;
  if (kind === "text" && file === undefined)
    return `"${text}" names a repository, and this key wants a file of it.`;
  const wantsAll = kind === "weights" || kind === "tokenizer";
  if (wantsAll && source.from === "hub" && file !== undefined)
    return `"${text}" names one file, and this key wants a repository.`;
  return undefined;
}

interface Placed<Model> {
  /** The entry with paths of the container in place of what it names. */
  model: Model;
  mounts: MountPlan[];
  fetch: StepPlan[];
  files: Record<string, FilePlan>;
}

/** Brings what an entry's keys name to the host and into the container. */
export function placeFiles<Model extends object>(
  keys: FileKeys,
  model: Model,
  context: EngineContext,
): Placed<Model> {
  const placed: Placed<Model> = { model, mounts: [], fetch: [], files: {} };
  const place = (kind: FileKind, value: unknown): unknown => {
    if (typeof value === "string") return placeText(kind, value, context, placed);
    if (Array.isArray(value)) return value.map((one) => place(kind, one));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, place(kind, one)]));
  };
  const values = model as Record<string, unknown>;
  const named = Object.entries(keys).filter(([key]) => values[key] !== undefined);
  placed.model = {
    ...model,
    ...Object.fromEntries(named.map(([key, kind]) => [key, place(kind, values[key])])),
  };
  return placed;
}

function placeText(
  kind: FileKind,
  text: string,
  context: EngineContext,
  { mounts, fetch, files }: Placed<unknown>,
): string {
  if (kind === "text" && OWN.test(text)) {
    const name = ownFileName(text);
    files[name] = configFile(context.ownFiles?.[text] ?? "");
    return `/etc/gpubox/${name}`;
  }
  if (!SOURCE.test(text)) return text;
  const found = findSource(kind, text, context);
  mounts.push(found.mount);
  fetch.push(...found.fetch);
  return found.path;
}

function findSource(kind: FileKind, text: string, context: EngineContext) {
  if (isFile(kind, text)) return weightsFile(text, context);
  return weightsDirectory(text, context, kind === "tokenizer" ? TOKENIZER : undefined);
}

/** Among an engine's settings a name with an ending is a file's. */
function isFile(kind: FileKind, text: string): boolean {
  if (kind !== "settings") return kind === "text" || kind === "gguf";
  const source = parseSource(text);
  return source.from === "hub" ? source.file !== undefined : /\.\w+$/.test(source.path);
}

/** Told apart from the engine's own files, and from one of the same name in another folder. */
function ownFileName(path: string): string {
  const folder = createHash("sha256").update(path).digest("hex").slice(0, 8);
  return `own-${folder}-${path.slice(path.lastIndexOf("/") + 1)}`;
}

/** An engine's container with what its entry's keys name. A mount that it has already is not repeated. */
export function withFiles(
  { mounts, fetch, files }: Omit<Placed<unknown>, "model">,
  container: EngineContainer,
): EngineContainer {
  if (mounts.length === 0 && Object.keys(files).length === 0) return container;
  const all = [...container.mounts, ...mounts];
  return {
    ...container,
    files: { ...container.files, ...files },
    mounts: all.filter(({ target }, index) => all.findIndex((other) => other.target === target) === index),
    weights: [...(container.weights ?? []), ...fetch],
  };
}
