import type { TextPart } from "../../kit/text";
import { errorBody, jsonError, quoted, RETRY_AFTER_SECONDS } from "./answers";
import { ANY_BODIES, bodyRules } from "./bodies";
import { CANARY_BUFFER_BYTES, CANARY_RULES, CANARY_SCRIPTS, canaryProxies } from "./canary";
import {
  aliveFrontend,
  CONFIG_DIR,
  defaultServer,
  FROM_WAITING,
  MASTER_SOCKET,
  metricsFrontend,
  ONE_REQUEST,
  PLAIN_PATH_RULES,
  parallelRules,
  parallelTable,
  processSections,
  SILENCE_MINUTES,
  waitingFrontend,
  waitingServer,
} from "./common";
import { askForKnownKey } from "./edgeKeys";
import { FRONT } from "./fronts";
import { handOver, successor, toSuccessor } from "./handOver";

/** Marks the own answers of a group's scheduler, which valves pass on as they are. */
export const GROUP_HEADER = "x-gpubox-group";

/** Port that gateways reach a valve on. */
export const VALVE_PORT = 8080;
/** Port inside the container for clients that go past the gateway. */
export const DIRECT_PORT = 4003;
/** Requests to one model at a time; the next one waits to be accepted. */
const MAX_REQUESTS = 1000;
/** Connections besides, which gateways keep for their next requests. */
const MAX_IDLE = 1000;
/** Connections of its health check, with room for those of the process before a reload. */
const CHECKS = 10;
/**
 * What a valve may send to one backend at a time: the requests of its two listeners, from gateways and past them, and its checks.
 * A kept connection counts, because nothing keeps all of them from being used at once.
 */
export const VALVE_CONNECTIONS = 2 * MAX_REQUESTS + MAX_IDLE + CHECKS;
/** How many times as large a body may become on its way through a gateway, with escapes in its JSON. */
const GATEWAY_GROWTH = 3;
/** Bytes of a request's header fields. Nothing is kept to be sent again, so HAProxy's default is enough. */
const VALVE_BUFFER_BYTES = 16_384;
/** Failed checks, half a second apart, until a backend that answers badly is out. One that is gone is noticed at once. */
const FALL = 3;

/** Files of a valve's directory: name there to path under assets/. haproxy.cfg is made here. */
export const VALVE_ASSETS: Record<string, string> = {
  "hold.lua": "haproxy/hold.lua",
  "body.lua": "haproxy/body.lua",
  "control.sh": "haproxy/control.sh",
  "reload.sh": "haproxy/reload.sh",
  "health.sh": "haproxy/health.sh",
  "heal.sh": "health/heal.sh",
  "drain.sh": "haproxy/drain.sh",
};

/** Command of a valve's container. The socket is for reload.sh. */
export const VALVE_COMMAND = ["haproxy", "-W", "-db", "-S", MASTER_SOCKET, "-f", `${CONFIG_DIR}/haproxy.cfg`];

export interface ValveOptions {
  /** The model's public name, for the answers. */
  model: string;
  /** Port that the gateways reach it on. Default {@link VALVE_PORT}. */
  port?: number;
  /** The backend's name on its Docker network, its port, and the path that answers 200 when it can serve. */
  backend: {
    name: string;
    port: number;
    healthPath: string;
    /** Text that the answer must hold, for engines that answer 200 before they can serve. */
    healthText?: string;
    /** Name of the container that stands in for it while it is replaced. Default: none does. */
    standIn?: string;
    /** True: the one that stands in may get a share of the requests first. */
    canary?: boolean;
  };
  /** Paths that the backend is asked for; what ends in `/` opens everything below it. Every other one is answered 404. */
  routes: string[];
  /** Seconds that a request waits for the backend; 0 answers at once. */
  holdSeconds: number;
  /** Command that starts the model, for one that a person starts: the answer names it. Default: none, it starts by itself. */
  startHint?: string;
  /** Name of the slot, for a model that is loaded on demand. */
  slot?: string;
  /** True: a group's scheduler loads the model. It says itself why a model is not available, and for how long. */
  grouped?: boolean;
  /** Requests that the backend gets at the same time, whoever they come from; the next one is answered 429. Default: no limit. */
  maxParallel?: number;
  /** Seconds that the backend may be silent over one request. Default: 15 minutes. */
  silence?: number;
  /** Bytes that a request's body may have. Default: where nothing is known of the model. */
  bodyBytes?: number;
  /** A listener for clients that go past the gateway; `keyed`: the backend asks for its own key. */
  direct?: { keyed: boolean };
  /** Present where Prometheus reads metrics; `backendPath`: the backend's own, where it has any; `address`: where, if not at the backend. */
  metrics?: { backendPath?: string; address?: string };
}

/**
 * haproxy.cfg of a valve. It passes a request, holds it while the backend is away, or answers 503 with Retry-After and a body
 * that names the model and the reason.
 *
 * A request reaches the backend at most once. If it fails after it was sent, the valve answers instead of repeating it, because
 * it cannot know what the request did. It answers 503 then too, since LiteLLM turns other errors into a 500.
 *
 * @throws Error if a name or path cannot stand in a configuration file.
 */
export function valveConfig(options: ValveOptions): TextPart[] {
  const { name, port, healthPath, healthText, standIn, canary } = options.backend;
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name))
    throw new Error(`not a container's name: ${JSON.stringify(name)}`);
  if (!/^\/[A-Za-z0-9_./-]*$/.test(healthPath))
    throw new Error(`not a plain path: ${JSON.stringify(healthPath)}`);
  const unavailable = (reason: string) => `Model ${options.model} is not available: ${reason}`;
  const away = options.startHint
    ? `it is started by hand, with \`${options.startHint}\``
    : "its backend is not answering";
  const error = (status: number, type: string, reason: string) =>
    jsonError(status, type, unavailable(reason));
  const silentMinutes = options.silence ? Math.floor(options.silence / 60) : SILENCE_MINUTES;
  const { maxParallel, bodyBytes = ANY_BODIES.chat } = options;
  const parallel = maxParallel
    ? indent(parallelRules(maxParallel, `Model ${options.model} has its ${maxParallel} requests at a time.`))
    : [];
  const rules = [...parallel, ...(canary ? indent(CANARY_RULES) : [])];
  const answers = [
    "# A redirect would lead whoever follows it out of the network that the backend is kept in.",
    `http-response return ${error(503, "service_unavailable", "its backend answered with a redirect, which is not followed")} if { status 300:399 }`,
    "# Where an answer ends with its connection, nobody can tell a whole one from one that was cut.",
    `http-response return ${error(503, "service_unavailable", "its backend does not say where its answer ends")} if { status 200:299 } !{ status 204 205 } !{ var(txn.head) -m bool } !{ res.fhdr_cnt(content-length) gt 0 } !{ res.fhdr_cnt(transfer-encoding) gt 0 }`,
  ];
  const starting = `http-response return ${error(503, "service_unavailable", "its backend is starting or overloaded")} if { status 503 }`;
  const lines = [
    `# Made by gpubox from the stack's config: the valve before one backend.`,
    ...processSections({
      // A kept connection counts once there, and a held request three times.
      clients: MAX_REQUESTS + Math.ceil(MAX_IDLE / 3),
      bufferBytes: canary ? CANARY_BUFFER_BYTES : VALVE_BUFFER_BYTES,
      ...(canary ? { scripts: CANARY_SCRIPTS } : {}),
      keepAlive: "clients",
      retryOn: "conn-failure",
      answers: {
        // Made a 503 below.
        502: `status 502 content-type application/json string ${quoted(errorBody(503, "service_unavailable", unavailable("its backend stopped before it answered")))} hdr Retry-After ${RETRY_AFTER_SECONDS}`,
        503: error(503, "service_unavailable", away),
        504: error(504, "timeout", `its backend was silent for ${silentMinutes} minutes`),
      },
      silence: options.silence,
    }),
    `frontend valve from ${FRONT}`,
    `  bind :${options.port ?? VALVE_PORT}`,
    `  maxconn ${MAX_REQUESTS + MAX_IDLE}`,
    "  # LiteLLM lets one go after two minutes (AIOHTTP_KEEPALIVE_TIMEOUT), so none is closed under its next request.",
    "  timeout http-keep-alive 10m",
    ...indent(handOver("valve", MOVED_MAP)),
    ...indent(openRoutes(options.routes, "The valve does not serve this route.")),
    "  http-request del-header x-gpubox-held",
    "  # A gateway writes another JSON than it read: a character of three bytes may have become six.",
    ...indent(bodyRules(bodyBytes * GATEWAY_GROWTH)),
    ...rules,
    "  http-after-response set-status 503 if { status 502 }",
    `  ${toSuccessor("valve")}`,
    "  default_backend model",
    "",
    ...successor("valve"),
    ...(options.direct
      ? directFrontend(options.direct.keyed, options.routes, [...indent(bodyRules(bodyBytes)), ...rules])
      : []),
    ...(maxParallel ? parallelTable() : []),
    "backend model from base",
    "  # Changes of servers are warnings on stderr already.",
    "  no log",
    "  option httpchk",
    `  http-check send meth GET uri ${healthPath} hdr Host ${name}`,
    `  http-check expect ${healthText === undefined ? "status 200" : `string ${quoted(healthText)}`}`,
    "  timeout check 10s",
    `  ${defaultServer({ fall: FALL })}`,
    "  # Backends answer 503 themselves while they load.",
    `  ${starting} !${FROM_WAITING}${options.grouped ? ` !{ res.hdr(${GROUP_HEADER}) -m found }` : ""}`,
    ...(options.grouped ? [`  http-response del-header ${GROUP_HEADER}`] : []),
    "  http-request set-var(txn.head) bool(true) if METH_HEAD",
    ...indent(answers),
    ...(options.slot ? slotAnswers(options.slot, (reason) => error(503, "service_unavailable", reason)) : []),
    `  server backend ${name}:${port}`,
    ...(standIn ? [`  server next ${standIn}:${port} backup`] : []),
    `  ${waitingServer()}`,
    "",
    ...(canary && standIn ? canaryProxies({ name: standIn, port, answers: [starting, ...answers] }) : []),
    ...waitingFrontend({
      backend: "model",
      seconds: options.holdSeconds,
      message: unavailable(away),
      rules: [],
    }),
    "",
    ...(options.metrics ? metricsFrontend(metricsOf(options)) : []),
    ...aliveFrontend(),
  ];
  return [`${lines.join("\n")}\n`];
}

/**
 * Replaces llama-swap's own error answers. It answers 500 when a load failed, and 502 without a body when the server
 * ended under a request; llama-server names itself in its own answers.
 */
function slotAnswers(slot: string, error: (reason: string) => string): string[] {
  const own = "!{ res.hdr(server) -m found }";
  return [
    `  http-response return ${error(`its server did not load; the log of the slot ${slot} says why`)} if { status 500 } ${own}`,
    `  http-response return ${error("its server stopped before it answered")} if { status 502 } ${own}`,
  ];
}

function metricsOf({ backend, metrics }: ValveOptions) {
  const path = metrics?.backendPath;
  return path === undefined
    ? undefined
    : { address: metrics?.address ?? `${backend.name}:${backend.port}`, path };
}

function indent(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

const KEYS = `${CONFIG_DIR}/keys.map`;

/** See {@link handOver}. */
const MOVED_MAP = `${CONFIG_DIR}/moved.map`;

/** Rules that close every route but these: engines protect only some of theirs with their key. */
function openRoutes(routes: string[], message: string): string[] {
  const acls = routes.map(
    (route) => `acl open_route var(txn.path) -m ${route.endsWith("/") ? "beg" : "str"} ${route}`,
  );
  return [
    ...PLAIN_PATH_RULES,
    ...acls,
    `http-request return ${jsonError(404, "not_found", message)} if !open_route`,
  ];
}

/** The listener of a published port. It checks the clients' key, also where the engine knows none. */
function directFrontend(keyed: boolean, routes: string[], limits: string[]): string[] {
  return [
    `frontend direct from ${FRONT}`,
    `  bind :${DIRECT_PORT}`,
    `  maxconn ${MAX_REQUESTS}`,
    `  ${ONE_REQUEST}`,
    ...indent(openRoutes(routes, `This port serves only ${routes.join(", ")}.`)),
    ...indent(
      askForKnownKey("This port asks for its key: Authorization: Bearer or x-api-key.", ["x-api-key"]),
    ),
    "  # The backend knows another key, and none of its clients'.",
    "  http-request del-header x-api-key",
    ...(keyed
      ? [
          `  http-request set-var(txn.known) str(backend),map(${KEYS})`,
          '  http-request set-header Authorization "Bearer %[var(txn.known)]"',
        ]
      : ["  http-request del-header Authorization"]),
    "  http-request del-header x-gpubox-held",
    ...limits,
    "  http-after-response set-status 503 if { status 502 }",
    "  default_backend model",
    "",
  ];
}

/** keys.map of a valve with a published port: the clients' key, and the backend's own. */
export function directKeys(secret: string, keyed: boolean): TextPart[] {
  return [
    "# Made by gpubox from the stack's secrets.\n",
    "key:",
    { secret, as: "raw" },
    " client\n",
    ...(keyed ? ["backend ", { secret: "saltKey", as: "derived" } as const, "\n"] : []),
  ];
}
