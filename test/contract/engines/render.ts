import { engineOf, engines, type ModelConfig } from "../../../configs/engines";
import type { Engine, EngineContainer, Route } from "../../../configs/engines/engine";
import { ranksOf, type Spanning } from "../../../configs/engines/nodes";
import type { Problem } from "../../../configs/kit/problems";
import type { FilePlan } from "../../../configs/kit/text";
import { type HostConfig, hostSchema } from "../../../configs/schema/host";
import type { Case } from "./cases";
import { type Contract, type Endpoint, type Rendered, readContract } from "./contract";

/** How each engine's server is started: the first of these that stands in the container's words. */
const EXECUTABLES: Record<string, string[][]> = {
  llamacpp: [["/app/llama-server"]],
  vllm: [["vllm", "serve"]],
  sglang: [
    ["sglang", "serve"],
    ["python3", "-m", "sglang.launch_server"],
  ],
  "tensorrt-llm": [["trtllm-serve"]],
  // Its entrypoint is a script of gpubox, whose commands are checked on their own.
  ollama: [["bash", "/etc/gpubox/entrypoint.sh"]],
  "text-embeddings-inference": [["text-embeddings-router"]],
  speaches: [["uvicorn"]],
};

/** Libraries and the platform, whose variables are rendered beside the engine's own. */
export function environmentOf(engine: string): Contract[] {
  const python = ["vllm", "sglang", "tensorrt-llm", "speaches", "text-embeddings-inference"].includes(engine);
  return [readContract("platform"), ...(python ? [readContract("huggingface")] : [])];
}

export interface RenderedCase extends Rendered {
  /** What gpubox itself finds wrong with the entry. */
  problems: Problem[];
  container: EngineContainer;
  route: Route;
}

export function render(engine: string, { entry, host, rank = 0 }: Case): RenderedCase {
  const model = engines[engine as keyof typeof engines].schema.parse({ engine, ...entry }) as ModelConfig;
  const it = engineOf(model) as Engine<ModelConfig> & {
    protocols?: { path: string; how: string }[];
    check(model: ModelConfig, path: string, about: { host: HostConfig }): Problem[];
  };
  const parsedHost = hostSchema.parse(host ?? {});
  const context = {
    name: "model",
    host: parsedHost,
    modelsDir: "/srv/gpubox/models",
    cacheDir: "/srv/gpubox/backend-model-cache",
    port: 8000,
    toolsImage: "tools",
    downloader: { image: "gateway", fetchScript: "", hasToken: false, endpoint: parsedHost.modelHub },
    lock: {},
    image: "image",
    cannedModel: "",
    offline: false,
    ranks: ranksOf(model as Spanning, "gpu1", rank, []),
  };
  const container = it.container?.(model, context);
  if (!container) throw new Error(`${engine} renders no container`);
  const route = it.route(model, context, "http://valve-model:8000");
  const native = (it.protocols ?? []).filter(({ how }) => how === "native").map(({ path }) => path);
  return {
    container,
    route,
    problems: it.check(model, "gpubox:models.model", { host: parsedHost }),
    argv: [...argvOf(engine, [...container.entrypoint, ...container.command]), ...yamlFlags(container)],
    env: { ...container.env, ...envFiles(container) },
    endpoints: [
      { method: "GET", path: container.healthPath },
      ...[...native, ...(route.supportedEndpoints ?? [])].map((path): Endpoint => ({ method: "POST", path })),
    ],
  };
}

function argvOf(engine: string, words: string[]): string[] {
  for (const executable of EXECUTABLES[engine] ?? []) {
    const at = words.findIndex((_, index) =>
      executable.every((word, offset) => words[index + offset] === word),
    );
    // The words before start what starts the server: a lock, a reader of an env file.
    if (at >= 0) return engine === "ollama" ? ["serve"] : words.slice(at + executable.length);
  }
  throw new Error(`${engine} is not started by a known executable: ${words.join(" ")}`);
}

function filesOf(container: EngineContainer): [name: string, text: string][] {
  const { files = {} } = container as { files?: Record<string, FilePlan> };
  return Object.entries(files).map(([name, { text }]) => [
    name,
    text.map((part) => (typeof part === "string" ? part : "secret")).join(""),
  ]);
}

/** Variables that come from a file because their values are secret. */
function envFiles(container: EngineContainer): Record<string, string> {
  const files = filesOf(container).filter(([name]) => name.endsWith(".env"));
  return Object.fromEntries(
    files.flatMap(([, text]) =>
      [...text.matchAll(/^([A-Z][A-Z0-9_]*)='?([^'\n]*)'?$/gm)].map(([, k, v]) => [k, v]),
    ),
  );
}

/** SGLang reads flags from a file too: `api-key: "…"`. */
function yamlFlags(container: EngineContainer): string[] {
  const text = filesOf(container).find(([name]) => name === "sglang.yaml")?.[1] ?? "";
  return [...text.matchAll(/^([a-z-]+): (.*)$/gm)].flatMap(([, key, value]) => [`--${key}`, value!]);
}
