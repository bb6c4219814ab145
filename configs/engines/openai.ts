import { z } from "zod";
import { modelBase } from "../schema/model";
import { keyRef } from "../schema/shared";
import type { Engine } from "./engine";

const shape = {
  engine: z.literal("openai"),
  baseUrl: z
    .string()
    .describe(
      "Base URL of a server that already runs, up to and with /v1. It must be reachable from a container.",
    ),
  model: z
    .string()
    .optional()
    .describe("The name that the server knows the model by. Default: the entry's name."),
  apiKey: keyRef.default("none").describe("The secret that holds the server's key; none: it wants no key."),
  ...modelBase,
};

const schema = z.strictObject(shape);
type OpenAiModel = z.infer<typeof schema>;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])$/;

export const openai: Engine<OpenAiModel> = {
  schema,
  keys: Object.keys(shape),
  check(model, entry) {
    const path = `${entry}.baseUrl`;
    if (!URL.canParse(model.baseUrl) || !/^https?:$/.test(new URL(model.baseUrl).protocol))
      return [
        {
          path,
          what: `"${model.baseUrl}" is not an http or https URL.`,
          fix: "Write it whole, for example http://192.168.1.5:8000/v1.",
        },
      ];
    const url = new URL(model.baseUrl);
    const problems = [];
    if (url.username || url.password)
      problems.push({
        path,
        what: "The URL carries credentials, which would be stored in plaintext.",
        fix: "Put the key into a secret and name it in `apiKey: { secret: … }`.",
      });
    const versioned = /\/v\d+\/?$/.test(url.pathname)
      ? url.pathname
      : `${url.pathname.replace(/\/$/, "")}/v1`;
    if (LOOPBACK.test(url.hostname)) {
      const port = url.port ? `:${url.port}` : "";
      problems.push({
        path,
        what: `${url.hostname} is the gateway container's own loopback, not the host's.`,
        fix: `Let the server listen on the Docker bridge and write http://host.docker.internal${port}${versioned}.`,
      });
    } else if (versioned !== url.pathname)
      problems.push({
        path,
        what: `"${model.baseUrl}" does not end in /v1.`,
        fix: `Write ${url.origin}${versioned}.`,
      });
    return problems;
  },
  route: (model, context) => ({
    // `hosted_vllm/` speaks plain chat completions to any server; `openai/` would send /v1/messages to /v1/responses.
    model: `hosted_vllm/${model.model ?? context.name}`,
    apiBase: model.baseUrl.replace(/\/$/, ""),
    apiKey: model.apiKey === "none" ? undefined : model.apiKey,
  }),
};
