import { createHash } from "node:crypto";
import { z } from "zod";
import { modelBase } from "../schema/model";
import { memoryMiB } from "../schema/shared";
import type { Engine, EngineContainer, EngineContext } from "./engine";

const shape = {
  engine: z.literal("llamacpp"),
  model: z
    .string()
    .regex(
      /^(hf:\/\/[\w.-]+\/[\w.-]+(@[\w.-]+)?\/[\w./-]+\.gguf|file:\/\/\/[\w./-]+\.gguf|canned)$/,
      "Write hf://owner/repo[@revision]/file.gguf, file:///path/on/the/host.gguf, or canned.",
    )
    .describe("The GGUF: hf://owner/repo[@revision]/file.gguf, file:///path/on/the/host.gguf, or canned."),
  offlineModel: z
    .literal("canned")
    .optional()
    .describe("What serves under this name where no model hub answers: a tiny model with one fixed answer."),
  ctxSize: z.int().positive().default(4096).describe("--ctx-size: tokens shared by all slots."),
  parallel: z.int().positive().default(2).describe("--parallel: requests served at the same time."),
  threads: z.int().positive().optional().describe("--threads: CPU threads. Default: llama.cpp's choice."),
  memoryMiB: memoryMiB.default(8192).describe("Memory limit of the container in MiB."),
  readySeconds: z.int().positive().default(300).describe("Seconds from start to a loaded model."),
  holdSeconds: z
    .int()
    .min(0)
    .max(600)
    .default(30)
    .describe(
      "Seconds that a request waits while the backend restarts; then it is answered 503 with Retry-After.",
    ),
  extraArgs: z.array(z.string()).default([]).describe("More flags of llama-server, one word each."),
  env: z.record(z.string(), z.string()).default({}).describe("Environment of the container. No secrets."),
  ...modelBase,
};

const schema = z.strictObject(shape);
type LlamaCppModel = z.infer<typeof schema>;

/** Flags that the plan sets; a second value in `extraArgs` would silently win or break the health check. */
const OWNED_FLAGS = [
  "-m",
  "--model",
  "--host",
  "--port",
  "-a",
  "--alias",
  "-c",
  "--ctx-size",
  "-np",
  "--parallel",
];

interface ModelFile {
  path: string;
  /** Command that writes the file to standard output or downloads it; absent for files that the host already has. */
  fetch?: string;
}

/** The canned model's file carries a version: another answer or layout is another file. */
const CANNED_VERSION = "1";

function modelFile(source: string, { modelsDir, toolsImage }: EngineContext): ModelFile {
  if (source === "canned") {
    const path = `${modelsDir}/canned-${CANNED_VERSION}.gguf`;
    return { path, fetch: writeThroughDocker(toolsImage, path, "node --import tsx scripts/canned-model.ts") };
  }
  if (source.startsWith("file://")) return { path: source.slice("file://".length) };
  const [, repo, revision = "main", file] =
    /^hf:\/\/([^/]+\/[^/@]+)(?:@([^/]+))?\/(.+)$/.exec(source) ?? unreachable(source);
  const path = `${modelsDir}/hf/${repo}/${revision}/${file}`;
  return {
    path,
    fetch: downloadThroughDocker(
      toolsImage,
      path,
      `https://huggingface.co/${repo}/resolve/${revision}/${file}`,
    ),
  };
}

function unreachable(source: string): never {
  throw new Error(`model source ${source} passed the schema but has no rule`);
}

/** Files reach the host through the Docker engine alone: whoever may use it needs neither sudo nor a second SSH path. */
function onHost(image: string, path: string, script: string): string {
  const directory = path.slice(0, path.lastIndexOf("/"));
  return `docker run --rm -i --user 0 --entrypoint sh -v ${directory}:${directory} ${image} -c '${script}'`;
}

function writeThroughDocker(image: string, path: string, producer: string): string {
  const test = onHost(image, path, `test -s ${path}`);
  const write = onHost(
    image,
    path,
    `cat > ${path}.part && chmod 0644 ${path}.part && mv -f ${path}.part ${path}`,
  );
  return `${test} || ${producer} | ${write}`;
}

function downloadThroughDocker(image: string, path: string, url: string): string {
  const get = `curl -fL --retry 5 -C - -o ${path}.part ${url} && chmod 0644 ${path}.part && mv -f ${path}.part ${path}`;
  return onHost(image, path, `test -s ${path} || { ${get}; }`);
}

function container(model: LlamaCppModel, context: EngineContext): EngineContainer {
  const source = context.offline && model.offlineModel ? model.offlineModel : model.model;
  const file = modelFile(source, context);
  const plan: EngineContainer = {
    entrypoint: ["/app/llama-server"],
    command: [
      ...["--model", file.path],
      ...["--alias", context.name],
      ...["--host", "0.0.0.0"],
      // Always explicit: llama.cpp announces another default port.
      ...["--port", String(context.port)],
      ...["--ctx-size", String(model.ctxSize)],
      ...["--parallel", String(model.parallel)],
      ...(model.threads ? ["--threads", String(model.threads)] : []),
      "--jinja",
      "--no-webui",
      "--metrics",
      ...model.extraArgs,
    ],
    env: model.env,
    port: context.port,
    healthPath: "/health",
    memoryMiB: model.memoryMiB,
    readySeconds: model.readySeconds,
    // A stream in flight keeps the process alive until its client goes away, so waiting longer gains nothing.
    stopGraceSeconds: 10,
    holdSeconds: model.holdSeconds,
    modelFile: file.path,
  };
  if (file.fetch) {
    const id = createHash("sha256").update(file.path).digest("hex").slice(0, 8);
    plan.weights = { name: `weights-${id}`, script: file.fetch };
  }
  return plan;
}

export const llamacpp: Engine<LlamaCppModel> = {
  schema,
  keys: Object.keys(shape),
  check: (model, path) => [
    ...model.extraArgs
      .filter((argument) => OWNED_FLAGS.includes(argument.split("=")[0] ?? ""))
      .map((argument) => ({
        path: `${path}.extraArgs`,
        what: `"${argument}" is set by gpubox.`,
        fix: "Use the entry's own key for it (model, ctxSize, parallel).",
      })),
  ],
  container,
  route: (_model, context, upstream) => ({
    // `hosted_vllm/` and not `openai/`: the latter sends /v1/messages to /v1/responses.
    model: `hosted_vllm/${context.name}`,
    apiBase: `${upstream}/v1`,
    // The valve has waited already; each further try would wait as long again for the same backend.
    retries: 0,
    supportedEndpoints: ["/v1/chat/completions", "/v1/messages"],
  }),
};
