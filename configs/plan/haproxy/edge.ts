import type { TextPart } from "../../kit/text";
import type { Mode } from "../../schema/model";
import { jsonError } from "./answers";
import { ANY_BODIES, type BodyLimits, bodyRules } from "./bodies";
import {
  aliveFrontend,
  atWorkRules,
  atWorkTable,
  defaultServer,
  metricsFrontend,
  parallelRules,
  parallelTable,
  processSections,
  waitingFrontend,
} from "./common";
import { FORWARDED_HOST, knownHost, RESPONSE_RULES, requestRules } from "./edgeHosts";
import { askForKey, KEY_RULES, openRules, REFUSE_OTHER_KEYS } from "./edgeKeys";
import { FRONT } from "./fronts";
import { handOver, successor, toSuccessor } from "./handOver";
import { routeRules } from "./routes";
import { ADMIN_TLS_PORT, type EdgeTls, expiryRule, plainSections, tlsBind } from "./tls";

/** Port of the clients' listener inside the container: inference only. */
export const CLIENT_PORT = 4000;
/** Port of the plain admin listener inside the container. */
export const ADMIN_PORT = 4001;
/** See {@link handOver}; assets/edge/upstream.sh makes it. */
const MOVED_MAP = "/tmp/moved.map";
/** Port that every gateway listens on. */
export const GATEWAY_PORT = 4000;
/** Clients at a time; the next one waits to be accepted. */
export const MAX_CLIENTS = 1000;
/**
 * Bytes of a request that HAProxy can send again after a failure, header fields included: it keeps no more of a request than
 * its buffer holds. It can still send a longer one again when the connection itself failed, because nothing has left yet.
 * Worst case of memory: twice this for each of {@link MAX_CLIENTS}.
 */
const BUFFER_BYTES = 131_072;
/** Seconds that a request waits for a gateway. The slowest measured restart of a LiteLLM container took 15 s. */
export const HOLD_SECONDS = 60;
/**
 * Failed checks until a gateway is out. Another LiteLLM that starts on the same cores slows the serving one down, and fewer
 * checks would take it out for that. A dead gateway is noticed without a check, see {@link defaultServer}; these find one that
 * hangs alone. One beside others is found sooner, see assets/haproxy/silent.lua.
 */
export const FALL = 6;

/**
 * Seconds between two looks at the idle connections to a gateway: half of those that are more than were in use lately are closed
 * (`pool-purge-delay`). {@link MAX_CLIENTS} of them are gone within half a minute.
 */
const PURGE_SECONDS = 2;

/** Files of the edge's directory: name there to path under assets/. haproxy.cfg and keys.map are made here. */
export const EDGE_ASSETS: Record<string, string> = {
  "entrypoint.sh": "edge/entrypoint.sh",
  "certificates.sh": "edge/certificates.sh",
  "switch.sh": "edge/switch.sh",
  "upstream.sh": "edge/upstream.sh",
  "hold.lua": "haproxy/hold.lua",
  "body.lua": "haproxy/body.lua",
  "control.sh": "haproxy/control.sh",
  "reload.sh": "haproxy/reload.sh",
  "health.sh": "haproxy/health.sh",
  "heal.sh": "health/heal.sh",
  "silent.lua": "haproxy/silent.lua",
};

export interface EdgeOptions {
  /** Host names and addresses that clients use, without port. localhost, 127.0.0.1 and [::1] are always allowed. */
  hosts: string[];
  /** `none`: the edge adds the master key on the clients' port. The admin port always asks for a key. */
  auth: "key" | "none";
  /**
   * What a client may present: `master`: only a master key, for gateways without a database, which answer any other with a
   * 400 or 500. `virtual`: any key, the gateway knows which are valid.
   */
  keys: "master" | "virtual";
  /** Where the admin port is reached from the box, for the answer to an admin route on the clients' port. */
  adminEndpoint: string;
  /** Modes of the models: some open routes of their own. Default: none that does. */
  modes?: readonly Mode[];
  /** Routes that the stack opens beside those of its models; what ends in `/` opens everything below it. Default: none. */
  ownRoutes?: string[];
  /** Requests of clients at the same time; the next one is answered 429. Default: no limit. */
  maxParallel?: number;
  /** True where Prometheus reads its metrics. Default: false. */
  metrics?: boolean;
  /** The clients' port speaks TLS. Default: plain HTTP. */
  tls?: EdgeTls;
  /** Requests at a time on both ports, whatever their protocol. Default {@link MAX_CLIENTS}. */
  maxRequests?: number;
  /** True: the admin port is at {@link ADMIN_TLS_PORT} too, with TLS. */
  adminTls?: boolean;
  /** Bytes that bodies may have. Default: {@link ANY_BODIES}. */
  bodies?: BodyLimits;
  /** More host names and addresses, for the admin port only. */
  adminHosts?: string[];
  /** Seconds that a request waits for a gateway. Default {@link HOLD_SECONDS}. */
  holdSeconds?: number;
  /** Seconds that a gateway may be silent over one request. Default: 15 minutes. */
  silence?: number;
}

/**
 * haproxy.cfg of the edge. `backend gateways` is not in it: assets/edge/upstream.sh writes that to the edge's own
 * directory, so that this file changes only when the config does.
 *
 * @throws Error if a host is not a host name or an IP address.
 */
export function edgeConfig(options: EdgeOptions): TextPart[] {
  const closed = `This port serves inference only. Admin routes, the UI and metrics are at ${options.adminEndpoint} on the box itself.`;
  const most = options.maxRequests ?? MAX_CLIENTS;
  const bodies = options.bodies ?? ANY_BODIES;
  const lines = [
    "# Made by gpubox from the stack's config. The backend `gateways` is in /var/lib/gpubox/upstream.cfg.",
    ...processSections({
      clients: MAX_CLIENTS,
      bufferBytes: BUFFER_BYTES,
      keepAlive: "both",
      scripts: ["silent.lua"],
      // A gateway whose process dies has answered nothing to what it was given last. The request is sent again, as every
      // OpenAI client would do itself; the waiting listener and the admin port keep this from happening twice.
      retryOn: "conn-failure empty-response",
      answers: {
        502: jsonError(502, "bad_gateway", "The gateway stopped before it answered."),
        503: jsonError(503, "service_unavailable", "No gateway took the request."),
        504: jsonError(504, "timeout", "The gateway was silent for too long."),
      },
      silence: options.silence,
    }),
    "defaults slots from base",
    "  # Changes of servers are warnings on stderr already.",
    "  no log",
    "  balance leastconn",
    "  # Liveliness, not readiness: readiness fails while Postgres is away and would take every gateway out at once.",
    "  option httpchk",
    `  http-check send meth GET uri /health/liveliness hdr Host ${FORWARDED_HOST}`,
    "  http-check expect status 200",
    "  timeout check 10s",
    "  # A new connection costs LiteLLM a fifth of what a request does. A gateway keeps an idle one for two minutes; here half of",
    "  # those above what was in use lately go every two seconds, so that a gateway never closes one first, unless it ends.",
    "  http-reuse always",
    `  default-server pool-purge-delay ${PURGE_SECONDS}s`,
    `  ${defaultServer({ fall: FALL })}`,
    "",
    `frontend clients from ${FRONT}`,
    `  bind :${CLIENT_PORT}${tlsBind(options.tls)}`,
    `  maxconn ${MAX_CLIENTS}`,
    ...indent(handOver("clients", MOVED_MAP)),
    ...indent(atWorkRules(most)),
    ...indent(requestRules(options.hosts)),
    ...indent(routeRules(closed, { modes: options.modes, own: options.ownRoutes })),
    ...indent(
      options.auth === "none" ? openRules(options.hosts) : [...KEY_RULES, ...askForKey(options.keys)],
    ),
    ...indent(bodyRules(bodies)),
    ...indent(
      options.maxParallel
        ? parallelRules(
            options.maxParallel,
            `This gateway has its ${options.maxParallel} requests at a time.`,
            "METH_POST",
          )
        : [],
    ),
    ...indent(RESPONSE_RULES),
    `  ${toSuccessor("clients")}`,
    "  default_backend gateways",
    "",
    `frontend admin from ${FRONT}`,
    `  bind :${ADMIN_PORT}`,
    ...(options.adminTls ? [`  bind :${ADMIN_TLS_PORT}${tlsBind(options.tls)}`] : []),
    `  maxconn ${MAX_CLIENTS}`,
    ...indent(handOver("admin", MOVED_MAP)),
    ...indent(atWorkRules(most)),
    ...indent(requestRules([...options.hosts, ...(options.adminHosts ?? [])])),
    "  # The drain route would be a kill switch. It belongs to the gateway's own entrypoint.",
    `  http-request return ${jsonError(404, "not_found", "The edge does not serve this route.")} if { var(txn.path) -m beg /health/drain }`,
    "  # Making a key twice is worse than an error.",
    "  http-request disable-l7-retry unless METH_GET",
    ...indent([...KEY_RULES, ...(options.keys === "master" ? REFUSE_OTHER_KEYS : [])]),
    // More of LiteLLM's routes carry prompts here, and no limit is meant for uploads to them.
    ...indent(
      bodyRules({
        ...bodies,
        chat: Math.max(bodies.chat, bodies.embeddings, bodies.audio ?? 0, bodies.images ?? 0),
      }),
    ),
    ...indent(RESPONSE_RULES),
    ...(options.adminTls ? indent(SECURE_COOKIES) : []),
    `  ${toSuccessor("admin")}`,
    "  default_backend gateways",
    "",
    ...atWorkTable(),
    ...(options.maxParallel ? parallelTable() : []),
    ...["clients", "admin"].flatMap(successor),
    ...waitingFrontend({
      backend: "gateways",
      seconds: options.holdSeconds ?? HOLD_SECONDS,
      message: `No gateway was up for ${options.holdSeconds ?? HOLD_SECONDS} seconds.`,
      // A switch may have changed the valid key while the request waited.
      rules: KEY_RULES,
    }),
    "",
    ...(options.metrics ? metricsFrontend(undefined, options.tls ? [expiryRule(options.hosts)] : []) : []),
    ...plainSections(options.tls, knownHost(options.hosts)),
    ...aliveFrontend(),
  ];
  return [`${lines.join("\n")}\n`];
}

/** LiteLLM sees plain HTTP, so it would let a browser send the UI's session to a plain port of the same host. */
const SECURE_COOKIES = [
  'http-response replace-header Set-Cookie ^(.*)$ "\\1; Secure" if { ssl_fc } { res.hdr(Set-Cookie) -m found }',
];

function indent(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
