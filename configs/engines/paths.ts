/** Absolute paths that an entry names: its image has them, or a mount of its container brings them. */

import type { Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import { sourceFlaw } from "../schema/ownContainer";
import type { Engine } from "./engine";
import { containerPathsOf } from "./files";
import { CACHE } from "./python";
import { hostFolderOf, modelOf, parentFolder } from "./source";
import { jsonOf } from "./spelling";

/** What images bring themselves, or every container has. Neither lies where people keep models and templates. */
const OF_THE_IMAGE = [
  ...[
    "/app",
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
  ],
  ...["/var/cache", "/var/log", "/var/run", "/var/tmp", "/root/.cache", "/home/ubuntu", "/home/vllm"],
  ...["/workspace", "/vllm-workspace", "/sgl-workspace", CACHE],
];

/** Flags and variables whose value is a part of a URL. */
const OF_A_URL = /(root[-_]path|prefix|endpoint|route|url)s?$/i;

/** `/srv/x`, and no URL. */
const ABSOLUTE = /^\/[\w.@+-][^\s]*$/;

/** What a shell would make a path of, and no container does. */
const OF_A_SHELL = /^(~|\$HOME|\$\{HOME\})\/\S/;

/** A file beside the person who writes it: a container has another folder there. */
const RELATIVE = /^\.{1,2}\/\S|^[\w-][\w.-]*\.(gguf|jinja2?|py|gbnf|safetensors|ya?ml|json)$/;

/** What decides on the paths of an entry. */
export interface PathsOf {
  extraArgs?: string[];
  env?: Record<string, string>;
  mounts?: { source: string; target?: string }[];
}

/** Refuses paths of the host that no mount of the entry's container brings: the engine would not find them. */
export function checkPaths<Model extends { engine: string; model?: string } & PathsOf>(
  engine: Pick<Engine<Model>, "files" | "sources">,
  model: Model,
  path: string,
  { dataDir }: Pick<HostConfig, "dataDir">,
): Problem[] {
  const { extraArgs = [], env = {}, mounts = [] } = model;
  const sources = [...(engine.sources?.(model) ?? [modelOf(model)])].map(({ source }) => source);
  const there = [
    ...OF_THE_IMAGE,
    // Ollama's store.
    ...(model.engine === "ollama" ? ["/models"] : []),
    `${dataDir}/models`,
    ...mounts.map(({ source, target = source }) => target),
    ...sources.flatMap((source) => hostFolderOf(source) ?? []),
  ];
  const isThere = (one: string) => there.some((root) => one === root || one.startsWith(`${root}/`));
  const named = [
    ...containerPathsOf(engine.files ?? {}, model).map((one) => ({ ...one, source: true })),
    ...valuesIn(extraArgs)
      .flatMap(pathsIn)
      .map((one) => ({ key: "extraArgs", path: one, source: false })),
    ...Object.entries(env).flatMap(([name, value]) =>
      OF_A_URL.test(name)
        ? []
        : pathsIn(value).map((one) => ({ key: `env.${name}`, path: one, source: false })),
    ),
  ];
  const lost = [
    ...valuesIn(extraArgs).map((text) => ({ key: "extraArgs", text, isPath: RELATIVE.test(text) })),
    ...Object.entries(env).map(([name, text]) => ({ key: `env.${name}`, text, isPath: false })),
  ].filter(({ text, isPath }) => isPath || OF_A_SHELL.test(text));
  const elsewhere = lost.map(({ key, text }) => ({
    path: `${path}.${key}`,
    what: `${text} is no path that its container has.`,
    fix: "Write an absolute path, and the mount that brings it: mounts: [{ source: /srv/x }].",
  }));
  const unmounted = named
    .filter((one) => !isThere(one.path))
    .map((one) => ({
      path: `${path}.${one.key}`,
      what: `No mount of its container brings ${one.path}.`,
      fix: `${one.source ? `Write file://${one.path}, or declare` : "Declare"} the mount: mounts: [{ source: ${mountFor(one.path)} }].`,
    }));
  return [...unmounted, ...elsewhere];
}

/** The values of flags, without those that are part of a URL. */
function valuesIn(extraArgs: string[]): string[] {
  return extraArgs.flatMap((word, index) => {
    const [flag = "", ...values] = word.split("=");
    if (word.startsWith("-")) return OF_A_URL.test(flag) ? [] : [values.join("=")];
    return OF_A_URL.test(extraArgs[index - 1] ?? "") ? [] : [word];
  });
}

/** The absolute paths in a value: itself, a list of them, `name=/path`, `/path:scale`, or JSON with some. */
function pathsIn(value: string): string[] {
  const json = /^\s*[{[]/.test(value) ? jsonOf(value) : undefined;
  if (json !== undefined) return textsOf(json).filter((text) => ABSOLUTE.test(text));
  return value
    .split(/[,:]/)
    .map((part) => part.replace(/^[\w.-]+=/, ""))
    .filter((part) => ABSOLUTE.test(part));
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(textsOf) : [];
}

/** A name with an ending is a file's: a mount brings the folder, or the file alone where no container may have the folder. */
function mountFor(path: string): string {
  const folder = /[^/]\.\w+$/.test(path) ? parentFolder(path) : path;
  return folder === "" || sourceFlaw(folder, true) ? path : folder;
}
