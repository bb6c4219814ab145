/** Absolute paths that an entry names: its image has them, or a mount of its container brings them. */

import type { Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import type { Engine } from "./engine";
import { containerPathsOf } from "./files";
import { CACHE } from "./python";
import { modelOf, parentFolder, parseSource, SOURCE } from "./source";
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
    ...sources.flatMap(foldersOf),
  ];
  const isThere = (one: string) => there.some((root) => one === root || one.startsWith(`${root}/`));
  const named = [
    ...containerPathsOf(engine.files ?? {}, model).map((one) => ({ ...one, source: true })),
    ...argumentPaths(extraArgs).map((one) => ({ key: "extraArgs", path: one, source: false })),
    ...Object.entries(env).flatMap(([name, value]) =>
      OF_A_URL.test(name)
        ? []
        : pathsIn(value).map((one) => ({ key: `env.${name}`, path: one, source: false })),
    ),
  ];
  return named
    .filter((one) => !isThere(one.path))
    .map((one) => ({
      path: `${path}.${one.key}`,
      what: `No mount of its container brings ${one.path}.`,
      fix: `${one.source ? `Write file://${one.path}, or declare` : "Declare"} the mount: mounts: [{ source: ${mountFor(one.path)} }].`,
    }));
}

/** The folders that the engine mounts for a source of the host. */
function foldersOf(source: string): string[] {
  const parsed = SOURCE.test(source) ? parseSource(source) : undefined;
  if (parsed?.from !== "host") return [];
  return parsed.path.endsWith(".gguf") ? [parentFolder(parsed.path)] : [parsed.path];
}

function argumentPaths(extraArgs: string[]): string[] {
  return extraArgs.flatMap((word, index) => {
    const [flag = "", ...values] = word.split("=");
    if (word.startsWith("-")) return OF_A_URL.test(flag) ? [] : pathsIn(values.join("="));
    return OF_A_URL.test(extraArgs[index - 1] ?? "") ? [] : pathsIn(word);
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

/** A name with an ending is a file's; a mount brings the folder. */
function mountFor(path: string): string {
  return /[^/]\.\w+$/.test(path) ? parentFolder(path) || path : path;
}
