import { z } from "zod";
import { ownImageOf } from "../kit/imageRoles";
import type { Problem } from "../kit/problems";
import { envFile, shellQuote } from "../kit/text";
import type { HostConfig } from "../schema/host";
import { ANY_MODE, backendBase, instancesOption, type Mode, modeOption } from "../schema/model";
import { ownContainer } from "../schema/ownContainer";
import { port } from "../schema/shared";
import { readySeconds } from "./container";
import { checkDevices, deviceAccess } from "./devices";
import type { Engine, EngineContainer, EngineContext, Protocol } from "./engine";
import { type EngineFeatures, PASSED_ON, RECORDED } from "./features";
import { modelInfo } from "./info";
import { checkEnv } from "./options";
import { CACHE, WITH_ENV, WITH_ENV_COMMAND } from "./python";

/** A path of its server, as HAProxy compares it: no query, no pattern, no character that ends a word of its config. */
const path = z
  .string()
  .regex(/^\/[A-Za-z0-9._~:@+-]*(\/[A-Za-z0-9._~:@+-]+)*\/?$/, "Write a plain path, for example /prompt.");

const { extraArgs: _, instances: __, gpu, expose, ...base } = backendBase(4096);

const shape = {
  engine: z.literal("container"),
  ...base,
  gpu,
  expose,
  instances: instancesOption({ gpu, expose }),
  image: ownContainer.image
    .unwrap()
    .describe("The image of its server: { repository: ghcr.io/acme/painter, tag: v1 }."),
  command: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      "Program and arguments of its server, one word each, in place of the image's own. It has to listen on every address of its container.",
    ),
  port: port.describe("Port that its server listens on in its container."),
  healthPath: path.describe("Path that answers 200 once the model is loaded, without a key."),
  healthText: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("Text that the answer must hold too, where the path answers 200 before the model is loaded."),
  metricsPath: path.optional().describe("Path of its metrics in Prometheus' format. Default: it has none."),
  api: z
    .enum(["openai", "own"])
    .default("openai")
    .describe(
      "`openai`: it speaks OpenAI's API under /v1, and the gateway serves it. `own`: it has an API of its own; clients reach it at `expose`, and the gateway knows nothing of it.",
    ),
  routes: base.routes.describe(
    "Paths that clients may use beside those of its mode; with api: own these alone. What ends in / opens everything below it; all others are answered 404.",
  ),
  mode: modeOption(ANY_MODE),
  model: z
    .string()
    .optional()
    .describe("The name that its server knows the model by. Default: the entry's name."),
  keyVariable: z
    .string()
    .regex(/^[A-Z_][A-Z0-9_]*$/, "Write the name of a variable, for example API_KEY.")
    .optional()
    .describe(
      "Environment variable by which its server takes the key that the gateway sends. Default: none, it asks for no key.",
    ),
  user: z
    .string()
    .regex(/^[1-9]\d*:\d+$/, "Write uid:gid in numbers, for example 1000:1000; root is refused.")
    .default("65534:65534")
    .describe("User and group of its server, `uid:gid`."),
  stopGraceSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(30)
    .describe("Seconds that it gets to end after SIGTERM, before it is killed."),
  contextLength: z
    .int()
    .min(1)
    .optional()
    .describe("Tokens that one request may have. gateway.routing.preCallChecks goes by it."),
};

const schema = z.strictObject(shape);
type OwnServer = z.infer<typeof schema>;

/** What a gateway asks of a server of OpenAI's API, by mode. */
const ROUTES: Record<Mode, string[]> = {
  chat: ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/"],
  completion: ["/v1/completions"],
  embedding: ["/v1/embeddings"],
  rerank: ["/v1/rerank"],
  audio_transcription: ["/v1/audio/transcriptions", "/v1/audio/translations"],
  audio_speech: ["/v1/audio/speech"],
  image_generation: ["/v1/images/generations", "/v1/images/edits"],
  moderation: ["/v1/moderations"],
};

/** Keys that only a gateway reads. */
const OF_THE_GATEWAY = ["aliases", "params", "info", "rpm", "tpm", "budget", "tags", "price", "baseModel"];

/** Seconds for a program that nobody knows to set itself up beside reading its weights. */
const WARM_UP_SECONDS = 120;

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "What `api: openai` says of it." },
  { path: "/v1/messages", how: "translated", why: "Which servers have it is not known here." },
];

function container(model: OwnServer, context: EngineContext): EngineContainer {
  const { env, ...devices } = deviceAccess(model.gpu, context.host);
  const [program, ...args] = model.command as [string, ...string[]];
  const keyed = model.keyVariable !== undefined;
  return {
    ...devices,
    image: ownImageOf(model.image),
    user: model.user,
    entrypoint: keyed ? [...WITH_ENV_COMMAND, program] : [program],
    command: args,
    env: { HOME: CACHE, ...env, ...model.env },
    tmpfs: { "/tmp": "rw,noexec,nosuid,size=512m,mode=1777" },
    port: model.port,
    healthPath: model.healthPath,
    healthText: model.healthText,
    metricsPath: model.metricsPath,
    healthTest: anyHealth(model.port, model.healthPath, model.healthText),
    ...(model.keyVariable
      ? {
          files: {
            "backend.env": envFile({ [model.keyVariable]: [{ secret: "saltKey", as: "shell-derived" }] }),
          },
          assets: WITH_ENV,
        }
      : {}),
    memoryMiB: model.memoryMiB,
    readySeconds: readySeconds(model, { host: context.host }, WARM_UP_SECONDS),
    stopGraceSeconds: model.stopGraceSeconds,
    mounts: [{ kind: "directory", source: context.cacheDir, target: CACHE, readOnly: false }],
  };
}

/**
 * Docker's health check for an image that may have any of the usual clients: curl, wget, bash, Python.
 * @param healthText text that the answer must hold too
 */
function anyHealth(at: number, healthPath: string, healthText?: string): string[] {
  if (healthText !== undefined) return healthWithText(at, healthPath, healthText);
  const url = `http://127.0.0.1:${at}${healthPath}`;
  const bash = bashAsks(at, healthPath);
  const script = [
    `if command -v curl >/dev/null; then exec curl -fsS -o /dev/null ${url}; fi`,
    `if command -v wget >/dev/null; then exec wget -q -O /dev/null ${url}; fi`,
    `if command -v bash >/dev/null; then exec bash -c '${bash}'; fi`,
    `exec python3 -c 'import urllib.request; urllib.request.urlopen("${url}", timeout=5)'`,
  ];
  return ["CMD", "sh", "-c", script.join("\n")];
}

/** Asks with bash alone, and succeeds where the answer's status is 200. The rest of the answer is left to read. */
function bashAsks(at: number, healthPath: string): string {
  return `exec 3<>/dev/tcp/127.0.0.1/${at} && printf "GET ${healthPath} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3 && read -r status <&3 && [[ $status == *" 200"* ]]`;
}

/** The same, in a form of its own: another one for everybody would replace every container that there is. */
function healthWithText(at: number, healthPath: string, healthText: string): string[] {
  const url = `http://127.0.0.1:${at}${healthPath}`;
  const bash = `${bashAsks(at, healthPath)} && cat <&3`;
  const python = `import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen("${url}", timeout=5).read())`;
  const script = [
    `if command -v curl >/dev/null; then ask() { curl -fsS ${url}; }`,
    `elif command -v wget >/dev/null; then ask() { wget -q -O - ${url}; }`,
    `elif command -v bash >/dev/null; then ask() { bash -c '${bash}'; }`,
    `else ask() { python3 -c '${python}'; }`,
    "fi",
    "answer=$(ask) || exit 1",
    `text=${shellQuote(healthText)}`,
    `case $answer in *"$text"*) ;; *) exit 1 ;; esac`,
  ];
  return ["CMD", "sh", "-c", script.join("\n")];
}

function check(model: OwnServer, entry: string, { host }: { host: HostConfig }): Problem[] {
  const problems = [
    ...checkDevices("container", model.gpu, host, entry, ["cpu", "nvidia", "amd", "intel"]),
    ...checkEnv(model.env, model.keyVariable ? [model.keyVariable] : [], entry),
  ];
  if (model.api === "openai") return problems;
  if (model.routes.length === 0)
    problems.push({
      path: `${entry}.routes`,
      what: "It is missing: which paths an API of its own has, only you know.",
      fix: "List the paths that clients may use: [/prompt, /history/].",
    });
  if (!model.expose)
    problems.push({
      path: `${entry}.expose`,
      what: "It is missing: without a gateway, nobody would reach the server.",
      fix: "Give it a port and a key: expose: { port: 8188, key: { secret: painterKey } }.",
    });
  const given = model as unknown as Record<string, unknown>;
  const useless = [...OF_THE_GATEWAY, "keyVariable", "model", "contextLength", "timeoutSeconds", "profiles"]
    .filter((key) => given[key] !== undefined && !(Array.isArray(given[key]) && given[key].length === 0))
    .concat(model.mode === "chat" ? [] : ["mode"]);
  return [
    ...problems,
    ...useless.map((key) => ({
      path: `${entry}.${key}`,
      what: "It means nothing with api: own, because no gateway serves it.",
      fix: "Remove it, or write api: openai.",
    })),
  ];
}

/** A feature that the server's own command decides. */
const ITS_OWN = { cell: "its own", known: "vendor" } as const;

const features: EngineFeatures = {
  example: "model",
  entry: { image: { repository: "acme/server", tag: "v1" }, command: ["serve"], port: 80, healthPath: "/" },
  known: "vendor",
  recorded: RECORDED,
  says: {
    ...PASSED_ON,
    ...{ lora: ITS_OWN, quantization: ITS_OWN, kvCache: ITS_OWN, tensorParallel: ITS_OWN },
    ...{ prefixCache: ITS_OWN, speculative: ITS_OWN, drain: ITS_OWN, weights: ITS_OWN },
    ...{ cpu: ITS_OWN, cuda: ITS_OWN, rocm: ITS_OWN, intel: ITS_OWN, arm64Cpu: ITS_OWN, arm64Cuda: ITS_OWN },
    apiKey: { cell: "`keyVariable`", known: "vendor" },
    metrics: { cell: "`metricsPath`", known: "vendor" },
  },
};

/**
 * A server of which nothing is known but what its entry says: image, command, port, health, routes. It runs as hardened as the
 * others, and only its listed routes are reached.
 */
export const ownServer: Engine<OwnServer> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  routes: ({ mode }) => ROUTES[mode],
  features,
  check,
  sources: () => [],
  images: (model) => [ownImageOf(model.image)],
  container,
  throughGateway: ({ api }) => api === "openai",
  route: (model, context, upstream) => ({
    model: `${model.mode.startsWith("audio_") ? "openai" : "hosted_vllm"}/${model.model ?? context.name}`,
    mode: model.mode,
    apiBase: `${upstream}/v1`,
    apiKey: model.keyVariable ? "backend" : undefined,
    info: modelInfo(model, {}, { context: model.contextLength }),
  }),
};
