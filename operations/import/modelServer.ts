import { type EngineName, engines } from "../../configs/engines";
import type { Engine } from "../../configs/engines/engine";
import type { Draft, Entry } from "./draft";
import { readCommand } from "./engineCommand";
import type { Input } from "./input";
import { isPlainSecret } from "./plainSecrets";
import { type Bind, sourceIn } from "./services";

/** A server as a compose file, a container or llama-swap has it. */
export interface ServerInput {
  name: string;
  engine: EngineName;
  /** Where the words stand, for the account; absent where there are none. */
  command?: Input;
  words: string[];
  env?: Input;
  binds: Bind[];
  /** True: the image is somebody's own, whose flags nobody knows here. */
  ownImage?: boolean;
}

/** What is made of a server: the name that clients use, others for it, and the entry. */
export interface ServerDraft {
  name: string;
  entry: Entry;
}

/** Flags by which engines say what a model is for. */
const MODES: Record<string, string> = {
  "--embeddings": "embedding",
  "--embedding": "embedding",
  "--is-embedding": "embedding",
  "--rerank": "rerank",
  "--reranking": "rerank",
};

/** Flags that are read as a model's source or mode, and those that gpubox always writes. */
const ELSEWHERE: Record<string, string> = {
  ...Object.fromEntries(Object.keys(MODES).map((flag) => [flag, "mode"])),
  ...{ "--hf-repo": "model", "-hf": "model", "-hfr": "model", "--hf-file": "model", "-hff": "model" },
  ...{ "--model-url": "model", "-mu": "model", "--model-path": "model", "--revision": "model" },
  ...{ "--model": "model", "-m": "model", "--model-id": "model" },
  ...{
    "--jinja": "engine",
    "--metrics": "engine",
    "--no-webui": "engine",
    "--disable-log-requests": "engine",
  },
};

type Line = NonNullable<Engine<{ engine: string }>["commandLine"]>;

function lineOf(engine: EngineName): Line | undefined {
  return (engines[engine] as { commandLine?: Line }).commandLine;
}

/** Reads a server into an entry. @returns the reason where none can be made */
export function readServer(server: ServerInput, draft: Draft): ServerDraft | string {
  const { engine, binds, command } = server;
  const line = lineOf(engine);
  if (engine === "ollama") return "import the models themselves: Ollama's address, or its models directory";
  if (!line || !command) return "gpubox does not know this server's command line";
  const sourceOf = sourceIn(binds);
  const words = [...server.words, ...variableWords(server)];
  const named = servedNames(words);
  const name = (named[0] ?? server.name).replace(/^\//, "");
  const to = `gpubox:models.${name}`;
  const task = taskOf(words);
  const tasks: Record<string, string> = task
    ? { "--task": "mode", "--runner": "mode", "--convert": "mode" }
    : {};
  const read = readCommand(command, words, {
    ...line,
    to,
    sourceOf,
    elsewhere: { ...ELSEWHERE, ...tasks },
    keepsUnknown: server.ownImage,
  });
  const model = modelOf(words, read.head, engine, sourceOf);
  if (model.source === undefined) return model.why ?? "its command names no model";
  if (model.guess) draft.remark(`${to}.model`, model.guess);
  const mode = words.map((word) => MODES[word]).find(Boolean) ?? task;
  const env = variablesOf(server, to, draft);
  return {
    name,
    entry: {
      ...{ engine, model: model.source, ...read.entry },
      ...(mode ? { mode } : {}),
      ...(named.length > 1 ? { aliases: named.slice(1) } : {}),
      ...(Object.keys(env).length > 0 ? { env } : {}),
    },
  };
}

/** What vLLM calls a task or runner, and TEI and others do not have. */
function taskOf(words: string[]): string | undefined {
  const task = valueAfter(words, ["--task", "--runner", "--convert"]);
  return { embed: "embedding", embedding: "embedding", pooling: "embedding", score: "rerank" }[task ?? ""];
}

function servedNames(words: string[]): string[] {
  const at = words.findIndex((word) => /^(--served[-_]model[-_]name|--alias|-a)(=|$)/.test(word));
  if (at < 0) return [];
  const [, value] = words[at]!.split("=", 2);
  if (value) return value.split(",");
  const next = words.slice(at + 1).findIndex((word) => word.startsWith("-"));
  return words.slice(at + 1, next < 0 ? undefined : at + 1 + next).flatMap((word) => word.split(","));
}

function valueAfter(words: string[], names: string[]): string | undefined {
  for (const [index, word] of words.entries()) {
    const [flag, value] = word.split("=", 2);
    if (names.includes(flag!)) return value ?? words[index + 1];
  }
  return undefined;
}

/** Programs and their subcommands, before a model that has no flag. */
const PROGRAM =
  /(^|\/)(vllm|serve|python3?|llama-server|server|trtllm-serve|text-embeddings-router|sglang|launch_server|vllm\.entrypoints\.openai\.api_server|sglang\.launch_server)$/;

interface FoundModel {
  source?: string;
  /** Why there is none. */
  why?: string;
  /** What was guessed. */
  guess?: string;
}

/** The weights that a command names. */
function modelOf(
  words: string[],
  head: string[],
  engine: EngineName,
  sourceOf: (value: string) => string | undefined,
): FoundModel {
  if (engine === "llamacpp") {
    const found = hubGguf(words);
    if (found) return found;
  }
  const bare = head.filter((word) => !PROGRAM.test(word) && word !== "serve").at(-1);
  const value =
    valueAfter(words, ["--model", "-m", "--model-path", "--model_path", "--model-id", "--model-dir"]) ?? bare;
  if (value === undefined) return {};
  const revision = valueAfter(words, ["--revision"]);
  const source = sourceOf(value);
  if (source === undefined)
    return {
      why: value.startsWith("/")
        ? `no mount brings ${value}, so that gpubox does not know where on the host it is`
        : `${value} is neither a repository of the hub nor an absolute path`,
    };
  return { source: source.startsWith("hf://") && revision ? `${source}@${revision}` : source };
}

/** llama.cpp's ways to name a file of the hub. */
function hubGguf(words: string[]): FoundModel | undefined {
  const url = valueAfter(words, ["--model-url", "-mu"]);
  const [, fromUrl, revision, path] =
    /^https:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)\/resolve\/([\w.-]+)\/([\w./-]+)/.exec(url ?? "") ?? [];
  if (fromUrl) return { source: `hf://${fromUrl}${revision === "main" ? "" : `@${revision}`}/${path}` };
  const repository = valueAfter(words, ["--hf-repo", "-hf", "-hfr"]);
  if (!repository) return undefined;
  const [repo = "", quantization = "Q4_K_M"] = repository.split(":");
  const file = valueAfter(words, ["--hf-file", "-hff"]);
  if (file) return { source: `hf://${repo}/${file}` };
  const base = repo.slice(repo.indexOf("/") + 1).replace(/-GGUF$/i, "");
  return {
    source: `hf://${repo}/${base}-${quantization}.gguf`,
    guess: `The file's name is a guess from ${repository}: compare it with the repository's list of files.`,
  };
}

/** Variables that a stack's own keys, or the plan, set instead. */
const OWN_ENV =
  /^(HF_TOKEN|HUGGING_FACE_HUB_TOKEN|HF_HOME|HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE|TRANSFORMERS_CACHE|NVIDIA_VISIBLE_DEVICES|NVIDIA_DRIVER_CAPABILITIES|CUDA_VISIBLE_DEVICES|VLLM_API_KEY|LLAMA_API_KEY|PATH|HOME|TZ)$/;

/** The environment, without what is secret and without what became words of the command. */
function variablesOf({ env, engine }: ServerInput, to: string, draft: Draft): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of env?.children() ?? []) {
    const value = one.value === null ? "" : String(one.value);
    if (/^(HF_TOKEN|HUGGING_FACE_HUB_TOKEN)$/.test(one.name)) {
      draft.own("hfToken", { from: `the variable ${one.name}`, ...(value ? { value } : {}) });
      one.carry("gpubox:hfToken");
    } else if (wordOf(engine, one.name) !== undefined) one.carry(to);
    else if (OWN_ENV.test(one.name))
      one.lose("gpubox sets it by itself, or gives the container its devices otherwise");
    else if (isPlainSecret(one.name, value)) one.lose("a backend's environment takes no secrets");
    else {
      found[one.name] = value;
      one.carry(`${to}.env.${one.name}`);
    }
  }
  return found;
}

/** The flag that a variable stands for: llama.cpp and TEI have one for each. */
function wordOf(engine: EngineName, variable: string): string | undefined {
  const commandLine = lineOf(engine);
  const flag = commandLine?.parser.flags?.find(({ env = [] }) => env.includes(variable));
  if (flag) return flag.names.find((name) => name.startsWith("--")) ?? flag.names[0];
  if (engine !== "text-embeddings-inference") return undefined;
  const names = Object.values(commandLine?.options ?? {}).flatMap(({ names }) => names);
  return names.find((name) => name.slice(2).replaceAll("-", "_").toUpperCase() === variable);
}

function variableWords({ engine, env }: ServerInput): string[] {
  return (env?.children() ?? []).flatMap((one) => {
    const flag = wordOf(engine, one.name);
    return flag && one.value !== null ? [flag, String(one.value)] : [];
  });
}
