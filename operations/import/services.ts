import type { EngineName } from "../../configs/engines";

/** What an image of a model server, or of what stands beside one, is for. */
export type Role = EngineName | "litellm" | "llama-swap" | "redis" | "postgres";

/** Images by what they serve. The first that fits counts. */
const IMAGES: [image: RegExp, role: Role][] = [
  [/litellm/, "litellm"],
  [/llama-swap/, "llama-swap"],
  [/vllm/, "vllm"],
  [/sglang/, "sglang"],
  [/llama[._-]?cpp|llama-server/, "llamacpp"],
  [/(^|\/)ollama/, "ollama"],
  [/text-embeddings-inference|(^|\/)tei/, "text-embeddings-inference"],
  [/tensorrt-?llm|trtllm/, "tensorrt-llm"],
  [/speaches|faster-whisper-server/, "speaches"],
  [/(^|\/)(redis|valkey)(?!.*exporter)/, "redis"],
  [/(^|\/)postgres(?!.*exporter)|pgvector/, "postgres"],
];

/** Programs by what they serve, for images of one's own. */
const PROGRAMS: [program: RegExp, role: Role][] = [
  [/(^|[\s/.])vllm(\s|\.)/, "vllm"],
  [/llama-server/, "llamacpp"],
  [/sglang/, "sglang"],
  [/trtllm-serve/, "tensorrt-llm"],
  [/text-embeddings-router/, "text-embeddings-inference"],
  [/(^|\s|\/)litellm(\s|$)/, "litellm"],
];

/** @param command all words of its entrypoint and command, for images that say nothing */
export function roleOf(image: string, command: string): Role | undefined {
  const name = image
    .toLowerCase()
    .replace(/@.*$/, "")
    .replace(/:[^/]*$/, "");
  const found =
    IMAGES.find(([pattern]) => pattern.test(name)) ?? PROGRAMS.find(([pattern]) => pattern.test(command));
  return found?.[1];
}

/** A directory or file of the host that a container sees. */
export interface Bind {
  host: string;
  inside: string;
}

/** The host's path of a path inside a container; undefined where no mount brings it. */
export function hostPath(inside: string, binds: Bind[]): string | undefined {
  const found = binds
    .filter((bind) => inside === bind.inside || inside.startsWith(`${bind.inside.replace(/\/$/, "")}/`))
    .sort((a, b) => b.inside.length - a.inside.length)[0];
  return found && found.host.replace(/\/$/, "") + inside.slice(found.inside.replace(/\/$/, "").length);
}

/** A repository of the hub as engines name it. */
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/;

/** A commit's files in a hub's cache, wherever that is mounted. */
const IN_CACHE = /^\/.*\/models--([\w.-]+?)--([\w.-]+)\/snapshots\/([\w.-]+)(\/.+)?$/;

/** Whether a path of a command lies in a hub's cache. */
export function isInCache(value: string): boolean {
  return IN_CACHE.test(value);
}

/** How a stack config names weights that a command names: a path on the host, or a repository, also by its place in a hub's cache. */
export function sourceIn(binds: Bind[]) {
  return (value: string): string | undefined => {
    const [, owner, name, commit, rest = ""] = IN_CACHE.exec(value) ?? [];
    if (owner) return `hf://${owner}/${name}@${commit}${rest}`;
    if (value.startsWith("/")) {
      const path = hostPath(value, binds);
      return path && `file://${path}`;
    }
    return REPOSITORY.test(value) ? `hf://${value}` : undefined;
  };
}
