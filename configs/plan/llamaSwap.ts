import { stringify } from "yaml";
import type { Problem } from "../problems";
import { shellQuote } from "./text";

/** Port of llama-swap inside the container of a slot. */
export const LLAMA_SWAP_PORT = 8080;

/** Seconds between llama-swap's SIGTERM and SIGKILL to an engine: llama.cpp waits for streams in flight without a bound. */
const UNLOAD_SECONDS = 10;

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
  /** Not secret: everybody who reaches llama-swap can read its configuration. */
  env: Record<string, string>;
  /** Loopback port that the server listens on. */
  port: number;
  healthPath: string;
  /** Seconds that it may load. */
  readySeconds: number;
  /** Seconds without a request until it is unloaded; 0: it stays until another one wants the slot. */
  idleSeconds: number;
}

/** Command of a slot's container. */
export function llamaSwapCommand(configPath: string): string[] {
  return ["llama-swap", "-config", configPath, "-listen", `:${LLAMA_SWAP_PORT}`];
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
    // Covers the device lock's queue too, so it is the longest of all.
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

/** A model as far as it matters to whether it can share a slot. */
export interface SlotMember {
  name: string;
  engine: string;
  /** Devices by their ids. */
  devices: (string | number)[];
}

/**
 * Why models cannot share a slot. A slot's image holds llama-server only, and its container has one set of devices.
 *
 * @param slot the slot's name, for the sentences
 */
export function slotProblems(slot: string, members: SlotMember[]): Problem[] {
  const [first] = members;
  const path = (name: string) => `gpubox:models.${name}.start`;
  const devicesOf = ({ devices }: SlotMember) => [...devices].map(String).sort().join(", ");
  return members.flatMap((member) => {
    if (member.engine !== "llamacpp")
      return [
        {
          path: path(member.name),
          what: `Models of the engine ${member.engine} cannot share the slot ${slot}: it holds llama-server only.`,
          fix: "Write start: manual, and switch with `npm run model stop` and `start`; or serve a GGUF with engine: llamacpp.",
        },
      ];
    if (first && devicesOf(member) !== devicesOf(first))
      return [
        {
          path: path(member.name),
          what: `The slot ${slot} runs on the devices ${devicesOf(first) || "none"} for ${first.name} and ${devicesOf(member) || "none"} for ${member.name}.`,
          fix: "Give all models of a slot the same gpu.devices.",
        },
      ];
    return [];
  });
}
