import { z } from "zod";
import type { ModelConfig } from "../../configs/engines";
import type { Engine, Protocol } from "../../configs/engines/engine";
import type { Feature, KnownFrom } from "../../configs/engines/features";
import type { ClientRoute } from "../../configs/network/clientRoutes";
import { type HostConfig, hostSchema } from "../../configs/schema/host";
import type { Mode } from "../../configs/schema/model";

export type AnyEngine = Engine<ModelConfig>;

/** An engine, and what can be asked of it. */
export interface Facts {
  name: string;
  engine: AnyEngine;
  /** What an entry may ask of it, by its schema. */
  modes: string[];
}

export function factsOf(name: string, engine: AnyEngine): Facts {
  const { properties } = z.toJSONSchema(engine.schema, { io: "input", unrepresentable: "any" });
  const mode = properties?.mode;
  return { name, engine, modes: typeof mode === "object" ? (mode.enum ?? []).map(String) : [] };
}

export interface Column {
  table: keyof typeof TABLES;
  title: string;
  /** What follows from the registry; undefined: the engine has to say it. */
  from(facts: Facts): string | undefined;
  /** How that is known. Default: what the engine's features say. */
  known?: KnownFrom;
  /** More that the plan knows, after the engine's own words. */
  more?(facts: Facts): string;
}

/** The tables by their title. `containers`: only for engines that run as containers of the box. */
export const TABLES = {
  "What clients ask for": { containers: false },
  "What else they ask for": { containers: false },
  "What models can do": { containers: false },
  "How it serves": {
    containers: true,
    about:
      "A conversation stays with one of a model's `instances`, whatever the engine, so that its prefix cache serves it: [gateway.md](gateway.md#conversations).",
  },
  "Images and weights": { containers: true },
};

/** Every column, in the order of the page. */
export const COLUMNS: Record<Feature, Column> = {
  chat: { table: "What clients ask for", title: "chat", from: reached("/v1/chat/completions") },
  streaming: {
    table: "What clients ask for",
    title: "streaming",
    from: (facts) => (chats(facts) ? "yes" : "no"),
    // A contract knows routes, not what they answer.
    known: "vendor",
  },
  completions: { table: "What clients ask for", title: "/v1/completions", from: reached("/v1/completions") },
  messages: { table: "What clients ask for", title: "/v1/messages", from: reached("/v1/messages") },
  responses: { table: "What clients ask for", title: "/v1/responses", from: reached("/v1/responses") },
  embeddings: {
    table: "What clients ask for",
    title: "embeddings",
    from: reached("/v1/embeddings", "embedding"),
  },
  rerank: { table: "What clients ask for", title: "rerank", from: reached("/v1/rerank", "rerank") },
  countTokens: {
    table: "What else they ask for",
    title: "/v1/messages/count_tokens",
    from: (facts) => {
      const own = facts.engine.protocols?.some(
        ({ path, how }) => path === "/v1/messages/count_tokens" && how === "native",
      );
      return own ? "native" : chats(facts) ? undefined : "no";
    },
  },
  keptResponses: {
    table: "What else they ask for",
    title: "/v1/responses/…",
    from: (facts) => (chats(facts) && passes(facts, "/v1/responses/resp_1") ? undefined : "no"),
  },
  transcriptions: {
    table: "What else they ask for",
    title: "audio/transcriptions",
    from: served("audio_transcription", "/v1/audio/transcriptions"),
  },
  speech: {
    table: "What else they ask for",
    title: "audio/speech",
    from: served("audio_speech", "/v1/audio/speech"),
  },
  images: {
    table: "What else they ask for",
    title: "images/generations, images/edits",
    from: served("image_generation", "/v1/images/generations", "/v1/images/edits"),
  },
  moderations: {
    table: "What else they ask for",
    title: "moderations",
    from: served("moderation", "/v1/moderations"),
  },
  tools: { table: "What models can do", title: "tools", from: key("toolCallParser") },
  reasoning: { table: "What models can do", title: "reasoning", from: key("reasoningParser") },
  vision: {
    table: "What models can do",
    title: "vision",
    from: key("limitMmPerPrompt", "enableMultimodal", "mmproj"),
  },
  lora: { table: "How it serves", title: "LoRA", from: key("loraModules", "loraPaths", "lora") },
  quantization: {
    table: "How it serves",
    title: "quantised weights",
    from: key("quantization", "computeType"),
  },
  kvCache: {
    table: "How it serves",
    title: "quantised KV cache",
    from: key("kvCacheDtype", "cacheTypeK", "kvCacheType"),
  },
  tensorParallel: {
    table: "How it serves",
    title: "tensor parallelism",
    from: key("tensorParallelSize", "tpSize"),
  },
  prefixCache: {
    table: "How it serves",
    title: "prefix cache",
    from: key("enablePrefixCaching", "disableRadixCache", "cacheRam"),
  },
  speculative: {
    table: "How it serves",
    title: "speculative decoding",
    from: key("speculativeConfig", "speculativeAlgorithm"),
  },
  apiKey: {
    table: "How it serves",
    title: "key between gateway and backend",
    from: (facts) => (contextual(facts).route.apiKey === "backend" ? "yes" : "no"),
  },
  metrics: { table: "How it serves", title: "metrics", from: () => undefined },
  drain: {
    table: "How it serves",
    title: "drain on stop",
    from: key("shutdownTimeout"),
    more: (facts) => `; killed after ${contextual(facts).container?.stopGraceSeconds} s`,
  },
  weights: { table: "Images and weights", title: "weights", from: weights, known: "vendor" },
  cpu: { table: "Images and weights", title: "CPU", from: image([{}]), known: "vendor" },
  cuda: {
    table: "Images and weights",
    title: "CUDA",
    from: image(["7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0", "12.1"].map((one) => nvidia(one))),
    known: "vendor",
  },
  rocm: {
    table: "Images and weights",
    title: "ROCm",
    from: image([{ gpus: [{ id: 0, memoryGiB: 80, vendor: "amd" }], gpuGroups: [44] }]),
    known: "vendor",
  },
  intel: {
    table: "Images and weights",
    title: "Intel",
    from: image([{ gpus: [{ id: 0, memoryGiB: 24, vendor: "intel" }], gpuGroups: [44] }]),
    known: "vendor",
  },
  arm64Cpu: {
    table: "Images and weights",
    title: "arm64, CPU",
    from: image([{ arch: "arm64" }]),
    known: "vendor",
  },
  arm64Cuda: {
    table: "Images and weights",
    title: "arm64, CUDA (GB10)",
    from: image([{ ...nvidia("12.1"), arch: "arm64" }]),
    known: "vendor",
  },
};

function nvidia(computeCapability: string) {
  return { gpus: [{ id: 0, memoryGiB: 80, computeCapability }] };
}

function chats({ engine }: Facts): boolean {
  const chat = engine.protocols?.find(({ path }) => path === "/v1/chat/completions");
  return chat !== undefined && chat.how !== "none";
}

/** How the engine's `protocols` reach a path; without a line there, whether it has the mode for it. */
function reached(path: Protocol["path"], mode?: string): Column["from"] {
  return (facts) => {
    const how = facts.engine.protocols?.find((protocol) => protocol.path === path)?.how;
    if (how) return how === "none" ? "no" : how;
    if (mode) return facts.modes.includes(mode) ? "passed on" : "no";
    return chats(facts) ? undefined : "no";
  };
}

/**
 * Whether it has a mode that opens these routes.
 *
 * @throws Error where it has, and its valve would close one of them
 */
function served(mode: Mode, ...paths: ClientRoute[]): Column["from"] {
  return (facts) => {
    if (!facts.modes.includes(mode)) return "no";
    const closed = paths.find((path) => !passes(facts, path, mode));
    if (closed) throw new Error(`${facts.name} has mode ${mode}, and its valve closes ${closed}`);
    return facts.engine.container ? "native" : undefined;
  };
}

/** Whether a gateway's request for a path reaches its server: valves stand only before containers of the box. */
function passes(facts: Facts, path: string, mode?: Mode): boolean {
  const { engine } = facts;
  if (!engine.container) return true;
  const model = HOSTS.map((host) => accepted(facts, host, engine.features.example, mode)).find(Boolean);
  const native = (engine.protocols ?? []).flatMap((one) => (one.how === "native" ? [one.path] : []));
  const open = [...native, ...((model && engine.routes?.(model)) ?? [])];
  return open.some((route) => route === path || (route.endsWith("/") && path.startsWith(route)));
}

/** The first of these keys that its schema has. An engine that only embeds or speaks has no use for one. */
function key(...names: string[]): Column["from"] {
  return (facts) => {
    const found = names.find((name) => facts.engine.keys.includes(name));
    return found ? `\`${found}\`` : chats(facts) ? undefined : "no";
  };
}

/** The images that its entries run, by their role, on these hosts. */
function image(hosts: z.input<typeof hostSchema>[]): Column["from"] {
  return (facts) => {
    const roles = hosts.flatMap((raw) => {
      const host = hostSchema.parse(raw);
      const model = accepted(facts, host);
      return model ? (facts.engine.images?.(model, host)[0] ?? []) : [];
    });
    return [...new Set(roles)].map((role) => `\`${role}\``).join(", ") || "no";
  };
}

/** Which sources of weights it takes, by asking it. */
function weights(facts: Facts): string {
  const sources = {
    safetensors: "hf://owner/repo",
    GGUF: "hf://owner/repo/file.gguf",
    "Ollama's names": "owner/repo:tag",
  };
  return Object.entries(sources)
    .filter(([, source]) => HOSTS.some((host) => accepted(facts, host, source)))
    .map(([format]) => format)
    .join(", ");
}

/** A host without a GPU, and one with. */
const HOSTS = [{}, nvidia("9.0")].map((host) => hostSchema.parse(host));

/** The entry with this source on this host, where neither the engine's schema nor its check refuses it. */
function accepted(
  { name, engine }: Facts,
  host: HostConfig,
  source = engine.features.example,
  mode?: Mode,
): ModelConfig | undefined {
  const gpu = host.gpus.length > 0 ? { gpu: { devices: [host.gpus[0]!.id] } } : {};
  const { data } = engine.schema.safeParse({
    ...engine.features.entry,
    ...{ engine: name, model: source, ...gpu, ...(mode ? { mode } : {}) },
  });
  return data && engine.check(data, "", { host }).length === 0 ? data : undefined;
}

/** Its example's route and container, on the first host that it takes. */
function contextual(facts: Facts) {
  const { name, engine } = facts;
  for (const host of HOSTS) {
    const model = accepted(facts, host);
    if (!model) continue;
    const context = {
      ...{ name: "model", host, modelsDir: "/models", cacheDir: "/cache", port: 8000 },
      ...{ toolsImage: "tools", image: "image", cannedModel: "", offline: false },
      ...{ downloader: { image: "gateway", fetchScript: "", hasToken: false, endpoint: "" }, lock: {} },
    };
    return { container: engine.container?.(model, context), route: engine.route(model, context, "http://v") };
  }
  throw new Error(`${name} refuses its own example ${engine.features.example}`);
}
