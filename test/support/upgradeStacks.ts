import { everyImage, locked } from "./engines";
import { online } from "./observed";
import { testSecrets } from "./stacks";
import { ACME, PUBLIC } from "./tlsStacks";

const canned = { engine: "llamacpp", model: "canned", memoryMiB: 2048 };
const hosted = (repository: string) => `hf://acme/${repository}`;

/** Every secret that the stacks below name. */
export const upgradeSecrets: Record<string, string> = {
  ...testSecrets,
  directKey: "sk-PLANTED-direct-0123456789abcdef",
  grafanaPassword: "PLANTED-grafana-0123456789",
  hook: "http://PLANTED-hook.example/x",
};

/** Every image: what a machine without a registry lacks is in no box. */
export const upgradeImages = { ...everyImage, images: { ...everyImage.images, ...online.images } };

const gpus = [0, 1, 2, 3].map((id) => ({ id, memoryGiB: 80, computeCapability: "9.0" }));
const onGpu = (device: number, memoryGiB = 30) => ({ gpu: { devices: [device], memoryGiB } });

/**
 * Stacks that have one of each kind of container, volume, network and file. Both the present version and the one that made
 * the fixture have to take them.
 */
export const upgradeStacks: Record<string, Record<string, unknown>> = {
  dev: { cache: { mode: "bundled" }, database: { mode: "bundled" }, models: { tiny: canned } },
  gpu: {
    host: { gpus },
    gateway: { ...PUBLIC, tls: { acme: ACME }, replicas: 2 },
    cache: { mode: "bundled" },
    database: { mode: "bundled" },
    backup: {},
    models: {
      vllm: {
        ...{ engine: "vllm", model: hosted("vllm"), ...onGpu(0) },
        expose: { port: 8100, key: { secret: "directKey" } },
        aliases: ["local-model"],
      },
      "sglang.1": { engine: "sglang", model: hosted("sglang"), ...onGpu(0) },
      tensorrt: { engine: "tensorrt-llm", model: hosted("tensorrt"), ...onGpu(1) },
      ollama: { engine: "ollama", model: "qwen3:8b", ...onGpu(1) },
      embeds: { engine: "text-embeddings-inference", model: hosted("embeds"), mode: "embedding" },
      hears: { engine: "speaches", model: hosted("hears"), mode: "audio_transcription" },
      twice: {
        engine: "llamacpp",
        model: `${hosted("twice")}/twice.gguf`,
        instances: [onGpu(2), { name: "second", ...onGpu(3) }],
      },
      manual: { engine: "llamacpp", model: "file:///srv/models/manual.gguf", start: "manual" },
      late: { engine: "llamacpp", model: "file:///srv/models/late.gguf", start: "ondemand", slot: "pair" },
      later: { engine: "llamacpp", model: "file:///srv/models/later.gguf", start: "ondemand", slot: "pair" },
      far: { engine: "openai", baseUrl: "http://far.example:8000/v1" },
    },
  },
  observed: {
    host: { gpus },
    models: { tiny: canned },
    observability: { mode: "bundled", alerts: { webhook: { secret: "hook" } } },
  },
};

const unknown = { unresolved: "The hub did not answer." };

/** What the lock file says of the models. */
export const upgradeLock = {
  ...Object.fromEntries(["vllm", "sglang", "tensorrt"].map((repository) => [hosted(repository), locked()])),
  ...Object.fromEntries(["embeds", "hears", "twice/twice.gguf"].map((source) => [hosted(source), unknown])),
};

/** A job that asks a model of the box. */
export const upgradeJob = { upstream: { box: "tiny" }, port: 4101 };
