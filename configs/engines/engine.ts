import type { z } from "zod";
import type { ContainerPlan, MountPlan, StepPlan } from "../kit/containerPlan";
import type { ImageName, OwnImage } from "../kit/imageRoles";
import type { Problem } from "../kit/problems";
import type { FilePlan } from "../kit/text";
import type { Holds, LockedModel, ModelLock } from "../models/facts";
import type { Downloader } from "../models/weights";
import type { HostConfig } from "../schema/host";
import type { Mode } from "../schema/model";
import type { SecretRef } from "../schema/shared";
import type { EngineFeatures } from "./features";
import type { Ranks } from "./nodes";
import type { Option } from "./options";
import type { Parser } from "./spelling";
import type { EngineWatch } from "./watch";

/** LiteLLM's side of a model: what goes into `litellm_params` and `model_info`. */
export interface Route {
  /** Provider prefix and the backend's served name, `hosted_vllm/qwen3`. */
  model: string;
  /** Default: chat. */
  mode?: Mode;
  /** Absent: the provider's own. */
  apiBase?: string;
  apiVersion?: string;
  /** A named secret; `backend`: the key between gateway and backends; absent: the backend wants no key. */
  apiKey?: SecretRef | "backend";
  /** How often LiteLLM tries again after a failure; absent: its own default. */
  retries?: number;
  /** Paths that the backend serves natively; LiteLLM translates the others. */
  supportedEndpoints?: string[];
  /** More of `litellm_params`, under LiteLLM's names. */
  params?: Record<string, string | number | boolean>;
  /** More of `litellm_params` whose values are secrets. */
  secrets?: Record<string, SecretRef>;
  /** True: the provider knows whose the request is by other means than a key, for example by the machine's role. */
  ownAccount?: boolean;
  /** What the entry itself says of `litellm_params`. A value may be, or hold, a secret. */
  preset?: Record<string, unknown>;
  /** More of `model_info`: base_model, input_cost_per_token, supports_vision, …. */
  info?: Record<string, unknown>;
}

/** How one protocol path reaches the model, and why. */
export interface Protocol {
  path:
    | "/v1/chat/completions"
    | "/v1/completions"
    | "/v1/messages"
    | "/v1/messages/count_tokens"
    | "/v1/responses"
    | "/v1/embeddings"
    | "/v1/rerank";
  /** `native`: the engine's own route. `translated`: LiteLLM makes chat completions of it. `none`: it has no such route. */
  how: "native" | "translated" | "none";
  why: string;
}

/** The part of a backend's container that only its engine knows. */
export interface EngineContainer
  extends Pick<
    ContainerPlan,
    | "entrypoint"
    | "command"
    | "env"
    | "memoryMiB"
    | "stopGraceSeconds"
    | "gpu"
    | "shmMiB"
    | "ulimits"
    | "ipc"
    | "groupAdd"
    | "devices"
    | "capAdd"
    | "securityOpts"
  > {
  image: ImageName;
  /** What runs in its place, where the entry names one. */
  ownImage?: OwnImage;
  /** `uid:gid`. Default: nobody. */
  user?: string;
  /** Default: true. */
  readOnly?: boolean;
  tmpfs?: Record<string, string>;
  port: number;
  /** Path that answers 200 only when the model is loaded. The valve asks it. */
  healthPath: string;
  /** Text that the answer must hold too, where the path answers 200 before the model is loaded. */
  healthText?: string;
  /** Path of its metrics in Prometheus' format; absent where it has none. */
  metricsPath?: string;
  /** Docker's own check in exec form, made of what the image has. */
  healthTest: string[];
  /** Seconds from start to healthy. */
  readySeconds: number;
  /** Weights, read-only; caches that outlive a restart, writable, owned by `user`. */
  mounts: MountPlan[];
  /** What the entry mounts itself. The host has it, with owners of its own. */
  ownMounts?: MountPlan[];
  /** Files under /etc/gpubox, readable by the user's group. */
  files?: Record<string, FilePlan>;
  /** Files under /etc/gpubox that are assets: name to path under `assets/`. */
  assets?: Record<string, string>;
  /** Bring the weights to the host before anything is stopped. */
  weights?: StepPlan[];
  /** How it is told that it hangs; absent where nothing tells. */
  watch?: EngineWatch;
  /** How a group's seat puts the engine to sleep and wakes it, for an entry that asks for that. */
  sleep?: SleepCommands;
}

/** Commands in its container, word by word. Each ends with 0 once it is so. */
export interface SleepCommands {
  sleep: string[];
  wake: string[];
}

/** Settings by which an engine keeps to its share, in the engine's own names. */
export interface MemorySettings {
  /** Flag to value. */
  args: Record<string, string>;
  env: Record<string, string>;
  /** TensorRT-LLM's YAML. */
  config: Record<string, Record<string, number>>;
  /** MiB that the entry's settings keep in the host's memory and not on devices. Absent: none. */
  hostMiB?: number;
}

/** What an engine may know of the box beside its entry. */
export interface EngineContext {
  /** Public name of the model. */
  name: string;
  host: HostConfig;
  /** Directory on the host that holds model files, shared by all backends. */
  modelsDir: string;
  /** Directory on the host for what this backend keeps over restarts. */
  cacheDir: string;
  /** Port that its server listens on. */
  port: number;
  /** Image with a shell that every box has: it writes to the host what is made here. */
  toolsImage: string;
  /** What brings files of a hub to the host. */
  downloader: Downloader;
  /** Its own image. */
  image: string;
  /** The stub model that comes with this package: a GGUF as gzip in base64. */
  cannedModel: string;
  /** Texts of the files beside the stack file, by path: `./template.jinja`. Absent where the config names none. */
  ownFiles?: Record<string, string>;
  /** True where no model hub answered and the entry names an offline stand-in. */
  offline: boolean;
  /** What the lock file knows of every source. */
  lock: ModelLock;
  /** What it knows of the model. */
  locked?: LockedModel;
  /** Which part of a server over several hosts it is. */
  ranks?: Ranks;
  /** Memory settings by which it keeps to its part of the GPUs; absent where nothing is known of the model's size. */
  knobs?: MemorySettings;
}

/** What a route may know of the box beside its entry. */
export type RouteContext = Pick<EngineContext, "name" | "locked">;

/** What checks may know beside the entry. */
export interface CheckContext {
  host: HostConfig;
  /** What the lock file knows of the model. */
  locked?: LockedModel;
}

/** A source that an entry names. */
export interface NamedSource {
  /** Key of the entry, `mmproj` or `lora[0]`. */
  key: string;
  source: string;
  /** `anything`: the engine's settings say what it is for. */
  holds: Holds | "anything";
}

/** The flags or variables of a server, and the keys of an entry that they are. */
export interface CommandLine {
  options: Record<string, Option>;
  parser: Parser;
}

/**
 * What a key names. `text`: a small file, a chat template or a grammar. `gguf`: a model in one file. `weights`: a model's
 * repository. `tokenizer`: the small files of one. `settings`: settings of the engine with sources anywhere among them.
 */
export type FileKind = "text" | "gguf" | "weights" | "tokenizer" | "settings";

/** An engine's keys that name files, by what they name. */
export type FileKeys = Record<string, FileKind>;

/**
 * An engine: everything that one kind of model server needs, in one file. CONTRIBUTING.md adds one, step by step.
 */
export interface Engine<Model extends { engine: string }> {
  schema: z.ZodType<Model>;
  /** Keys of the schema, for the nearest-name hint. */
  keys: string[];
  /** How each protocol reaches a model of this engine. Absent where the server is not ours to know. */
  protocols?: Protocol[];
  /** Paths beside the native ones of `protocols` that a gateway asks its server for; `/` at the end: all below. Default: none. */
  routes?(model: Model): string[];
  /** What it says of itself in docs/features.md, and how that is known. */
  features: EngineFeatures;
  /** The entry with what its `extraArgs` and `env` say of keys that decide about memory. Absent where none may. */
  said?(model: Model): Model;
  /** Tokens of the longest request that the entry's scaling of positions allows. Default: what the model was trained for. */
  longestContext?(model: Model, locked: LockedModel): number;
  /** Mistakes that the schema cannot see. `path` is the entry's, or one of its instances'. */
  check(model: Model, path: string, about: CheckContext): Problem[];
  /** Public names beside the entry's own that its server answers to as models of their own: LoRA adapters. */
  adapters?(model: Model): string[];
  /** The version whose flags its keys and checks follow. Absent where no list of flags was made of its code. */
  release?: string;
  /** Keys beside `model` that name files. */
  files?: FileKeys;
  /** What it reads of a hub or of the host beside what `files` name. Default: its `model`, where that is no name of the engine's own. */
  sources?(model: Model): NamedSource[];
  /** The images that it needs, for engines that have a container: the server's first. Asked only of entries that `check` found right. */
  images?(model: Model, host: HostConfig): [server: ImageName, ...others: ImageName[]];
  /** How its server reads its command line, or its environment. Absent where it has neither. */
  commandLine?: CommandLine;
  /** The container that serves it; absent for servers that already run elsewhere. */
  container?(model: Model, context: EngineContext): EngineContainer;
  /** True where an entry may say `sleep`; its own checks say which. */
  sleeps?: true;
  /** False for an entry that no gateway serves: clients reach it at a port of its own. Default: true. */
  throughGateway?(model: Model): boolean;
  /** `upstream` is the valve's URL up to and without `/v1`, for engines that have a container. */
  route(model: Model, context: RouteContext, upstream: string): Route;
}

/** Paths that a LiteLLM deployment may pass on as they are. */
export function nativeEndpoints(protocols: Protocol[]): string[] {
  return protocols
    .filter(({ path, how }) => how === "native" && ["/v1/chat/completions", "/v1/messages"].includes(path))
    .map(({ path }) => path);
}
