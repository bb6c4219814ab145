import type { TextPart } from "../../kit/text";
import { jsonError } from "./answers";
import { bodyRules } from "./bodies";
import { processSections, SILENCE_MINUTES } from "./common";
import { CLIENT_PORT, GATEWAY_PORT } from "./edge";
import { requestRules } from "./edgeHosts";
import { askForKnownKey, withoutOtherPlaces } from "./edgeKeys";
import { FRONT } from "./fronts";
import { routeRules } from "./routes";

/** Requests of a job at a time; the next one waits to be accepted. */
const MAX_REQUESTS = 1000;
/** Bytes of a request's header fields. Nothing is kept to be sent again: an attempt is a sample. */
const BUFFER_BYTES = 16_384;

/** Files of the directory of a job's edge: name there to path under assets/. haproxy.cfg and keys.map are made here. */
export const JOB_EDGE_ASSETS: Record<string, string> = {
  "hold.lua": "haproxy/hold.lua",
  "body.lua": "haproxy/body.lua",
};

export interface JobEdgeOptions {
  /** The gateway's name on its network. */
  gateway: string;
  /** Bytes that a request's body may have. */
  bodyBytes: number;
  /** Seconds that the gateway may be silent over one request. */
  silence: number;
  /** Seconds that running requests get when the job is stopped. */
  drain: number;
}

/** haproxy.cfg of the edge of a job: what the clients' port of a box has, for one gateway that nothing takes the place of. */
export function jobEdgeConfig(options: JobEdgeOptions): TextPart[] {
  const lines = [
    "# Made by gpubox from the stack's config: the edge of one job.",
    ...processSections({
      clients: MAX_REQUESTS,
      bufferBytes: BUFFER_BYTES,
      // A stop waits for running requests, not for clients that keep their connections.
      keepAlive: "none",
      retryOn: "conn-failure",
      answers: {
        502: jsonError(502, "bad_gateway", "The job's gateway stopped before it answered."),
        503: jsonError(503, "service_unavailable", "The job's gateway does not take requests now."),
        504: jsonError(504, "timeout", "The job's gateway was silent for too long."),
      },
      silence: Math.max(options.silence, SILENCE_MINUTES * 60),
      hardStop: options.drain,
    }),
    `frontend clients from ${FRONT}`,
    `  bind :${CLIENT_PORT}`,
    `  maxconn ${MAX_REQUESTS}`,
    ...[
      ...requestRules([]),
      ...routeRules("A job serves inference only."),
      ...withoutOtherPlaces(),
      ...askForKnownKey("This job asks for its key: Authorization: Bearer, x-api-key or api-key.", [
        "x-api-key",
        "api-key",
      ]),
      ...bodyRules(options.bodyBytes),
    ].map((rule) => `  ${rule}`),
    "  default_backend gateway",
    "",
    "backend gateway from base",
    `  server gateway ${options.gateway}:${GATEWAY_PORT} no-check init-addr none resolvers docker resolve-prefer ipv4`,
  ];
  return [`${lines.join("\n")}\n`];
}

/** keys.map of a job's edge: what its clients send. */
export function jobEdgeKeys(key: string): TextPart[] {
  return ["# Made by gpubox for one job.\n", "key:", { secret: key, as: "raw" }, " client\n"];
}
