import { z } from "zod";
import type { Problem } from "../kit/problems";
import { envFile } from "../kit/text";
import { SPEECH } from "../models/repository";
import type { HostConfig } from "../schema/host";
import { backendBase, modeOption } from "../schema/model";
import { bashHealth, readySeconds } from "./container";
import { acceleratorOf, checkDevices, deviceAccess } from "./devices";
import type { CheckContext, Engine, EngineContainer, EngineContext, Protocol } from "./engine";
import type { EngineFeatures } from "./features";
import { modelInfo } from "./info";
import {
  checkEnv,
  checkExtraArgs,
  commandOf,
  environmentOf,
  keysOf,
  option,
  ownedNames,
  planned,
  setting,
} from "./options";
import { CACHE, WITH_ENV } from "./python";
import { checkRepository, isGguf, modelOf, modelSource, parseSource, weightsDirectory } from "./source";

/** Every flag of uvicorn that gpubox writes after the program's name. */
const flagOptions = { host: planned("--host", ""), port: planned("--port", "") };

/** Every variable of speaches that gpubox writes, in the order of the environment. */
const options = {
  model: setting(
    modelSource.describe(
      "hf://owner/repo[@revision]: a faster-whisper model, or Kokoro or Piper for speech.",
    ),
  ),
  mode: setting(modeOption(["audio_transcription", "audio_speech"])),
  home: planned("HOME"),
  hubCache: planned("HF_HUB_CACHE", ""),
  hubOffline: planned("HF_HUB_OFFLINE"),
  doNotTrack: planned("DO_NOT_TRACK"),
  enableUi: planned("ENABLE_UI", ""),
  speechToTextTtl: planned("STT_MODEL_TTL"),
  textToSpeechTtl: planned("TTS_MODEL_TTL"),
  inferenceDevice: planned("WHISPER__INFERENCE_DEVICE"),
  computeType: option(
    "WHISPER__COMPUTE_TYPE",
    z.string().optional().describe("WHISPER__COMPUTE_TYPE: default, float16, int8, …"),
    null,
  ),
  modelTtl: setting(
    z.int().min(-1).default(-1).describe("Seconds without a request until the model is unloaded; -1: never."),
  ),
};

const shape = { engine: z.literal("speaches"), ...keysOf(options), ...backendBase(8192) };

const schema = z.strictObject(shape);
type SpeachesModel = z.infer<typeof schema>;

/** `ubuntu` in the image. */
const UBUNTU = "1000:1000";

/** Variables that `env` may not set: those of the table, the key, and what would load other models or listen elsewhere. */
const OWNED_ENV = Object.keys(
  ownedNames(options, ["API_KEY", "PRELOAD_MODELS", "UVICORN_HOST", "UVICORN_PORT"]),
);

const protocols: Protocol[] = [
  {
    path: "/v1/chat/completions",
    how: "none",
    why: "It transcribes and speaks only: /v1/audio/transcriptions, /v1/audio/speech.",
  },
  { path: "/v1/messages", how: "none", why: "It transcribes and speaks only." },
];

function image(model: SpeachesModel, host: HostConfig) {
  return acceleratorOf(model.gpu, host).kind === "cpu" ? "speaches-cpu" : "speaches-cuda";
}

function container(model: SpeachesModel, context: EngineContext): EngineContainer {
  const weights = weightsDirectory(model.model, context, SPEECH);
  const { env: deviceEnv, ...devices } = deviceAccess(model.gpu, context.host);
  return {
    ...devices,
    image: image(model, context.host),
    user: UBUNTU,
    // It reads models only from a cache in the layout of the hub's own library.
    entrypoint: [
      "sh",
      "/etc/gpubox/entrypoint.sh",
      repositoryOf(model),
      folderName(weights.path),
      weights.path,
    ],
    command: [
      ...["uvicorn", "--factory", "speaches.main:create_app"],
      ...commandOf(flagOptions, { host: "0.0.0.0", port: context.port }),
      ...model.extraArgs,
    ],
    env: {
      ...environmentOf(options, {
        home: CACHE,
        hubCache: "/tmp/hub",
        hubOffline: true,
        doNotTrack: true,
        enableUi: "false",
        speechToTextTtl: model.modelTtl,
        textToSpeechTtl: model.modelTtl,
        inferenceDevice: model.gpu ? "cuda" : "cpu",
        computeType: model.computeType || undefined,
      }),
      ...deviceEnv,
      ...model.env,
    },
    tmpfs: { "/tmp": "rw,noexec,nosuid,size=1g,mode=1777" },
    port: context.port,
    // It has no answer that says whether a model is loaded: the first request loads it and waits for that.
    healthPath: "/health",
    healthTest: bashHealth(context.port, "/health"),
    files: { "backend.env": envFile({ API_KEY: [{ secret: "saltKey", as: "shell-derived" }] }) },
    assets: { ...WITH_ENV, "entrypoint.sh": "speaches/entrypoint.sh" },
    memoryMiB: model.memoryMiB,
    readySeconds: readySeconds(model, context, 0),
    stopGraceSeconds: 30,
    mounts: [weights.mount, { kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false }],
    weights: weights.fetch,
  };
}

/** The name by which it is asked for its model. */
function repositoryOf({ model }: SpeachesModel): string {
  const parsed = parseSource(model);
  if (parsed.from === "host") throw new Error(`speaches cannot read ${model}, which its check refuses`);
  return parsed.repo;
}

function folderName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function check(model: SpeachesModel, path: string, { host }: CheckContext): Problem[] {
  return [
    ...(parseSource(model.model).from === "host"
      ? [
          {
            path: `${path}.model`,
            what: "speaches reads models only from the hub's own cache.",
            fix: "Write hf://owner/repo, for example hf://Systran/faster-whisper-small.",
          },
        ]
      : []),
    ...(isGguf(model.model)
      ? [
          {
            path: `${path}.model`,
            what: "speaches does not read GGUF.",
            fix: "Name a repository of CTranslate2 (faster-whisper) or ONNX (Kokoro, Piper).",
          },
        ]
      : []),
    ...checkRepository(model.model, path),
    ...checkDevices("speaches", model.gpu, host, path, ["cpu", "nvidia"]),
    ...checkExtraArgs(model.extraArgs, ownedNames(flagOptions, ["--factory"]), path),
    ...checkEnv(model.env, OWNED_ENV, path),
  ];
}

const features: EngineFeatures = {
  example: "hf://Systran/faster-whisper-small",
  known: "vendor",
  says: {
    metrics: { cell: "no: it has no such route", known: "vendor" },
    drain: { cell: "no: it ends as uvicorn does", known: "vendor" },
    weights: { cell: "CTranslate2 (Whisper), ONNX (Kokoro, Piper)", known: "vendor" },
  },
};

export const speaches: Engine<SpeachesModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  routes: () => ["/v1/audio/"],
  features,
  check,
  sources: (model) => [{ ...modelOf(model), holds: "speech" }],
  images: (model, host) => [image(model, host)],
  container,
  route: (model, context, upstream) => ({
    model: `openai/${repositoryOf(model)}`,
    mode: model.mode,
    apiBase: `${upstream}/v1`,
    apiKey: "backend",
    info: modelInfo(model, context),
  }),
};
