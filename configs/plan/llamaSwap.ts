import { stringify } from "yaml";
import { shellQuote, type TextPart } from "../kit/text";

/** Seconds between llama-swap's SIGTERM and SIGKILL to an idle engine. For another model it waits as long as a load may take. */
const UNLOAD_SECONDS = 10;

/** Seconds that llama-swap waits for running requests when it is stopped. */
export const DRAIN_SECONDS = 30;

/** llama-swap answers 429 above this many requests to one model; its own default is 10. The valve's bound is the same. */
const MAX_REQUESTS = 1000;

/** The shortest time that llama-swap lets a model load. */
const SHORTEST_LOAD_SECONDS = 15;

/** A model that is loaded by a request and unloaded when nobody asks any more. */
export interface OnDemandModel {
  /** Public name, as LiteLLM sends it. */
  name: string;
  /** Program and arguments of its server, the device lock's entrypoint in front. */
  command: string[];
  /** No secret: a model's environment never holds one. */
  env: Record<string, string>;
  /** Loopback port that the server listens on. */
  port: number;
  healthPath: string;
  /** Seconds that it may load, its turn on shared devices included. */
  readySeconds: number;
  /** Seconds without a request until it is unloaded; 0: it stays until another model needs the slot. */
  idleSeconds: number;
}

/** Command of a slot's container. */
export function llamaSwapCommand(configPath: string, port: number): string[] {
  return ["/app/llama-swap", "-config", configPath, "-listen", `:${port}`];
}

/** Its configuration with its API key: the same key as the models', since it passes requests on unchanged. */
export function llamaSwapFile(models: OnDemandModel[]): TextPart[] {
  return ['apiKeys: ["', { secret: "saltKey", as: "derived" }, '"]\n', llamaSwapConfig(models)];
}

/**
 * The configuration of llama-swap for one slot: at most one of its models is loaded. A request to another one waits until
 * those of the present one are answered, and until its own model is loaded; how long, LiteLLM's `timeoutSeconds` bounds.
 *
 * llama-swap starts processes and not containers: with the Docker socket it would be root on the host. So a slot is one
 * container, and its models' servers run in it.
 *
 * @throws Error if a value holds what llama-swap would take for a macro
 */
export function llamaSwapConfig(models: OnDemandModel[]): string {
  const document = {
    healthCheckTimeout: Math.max(SHORTEST_LOAD_SECONDS, ...models.map(({ readySeconds }) => readySeconds)),
    unloadTimeout: UNLOAD_SECONDS,
    logToStdout: "both",
    // It would keep the last prompts and answers in memory, for anybody to read.
    captureBuffer: 0,
    performance: { disabled: true },
    models: Object.fromEntries(models.map((model) => [model.name, modelEntry(model)])),
    routing: {
      router: {
        use: "group",
        settings: {
          groups: { slot: { swap: true, exclusive: true, members: models.map(({ name }) => name) } },
        },
      },
    },
  };
  const text = stringify(document, { lineWidth: 0 });
  const macro = /\$\{[^}]*\}/.exec(text);
  if (macro) throw new Error(`llama-swap would replace ${macro[0]} in a model's command or environment`);
  return text;
}

function modelEntry({ command, env, port, healthPath, idleSeconds }: OnDemandModel) {
  return {
    cmd: command.map(shellQuote).join(" "),
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    proxy: `http://127.0.0.1:${port}`,
    checkEndpoint: healthPath,
    ttl: idleSeconds,
    concurrencyLimit: MAX_REQUESTS,
  };
}
