import { errorAnswers, jsonError } from "./answers";
import { FRONT, frontDefaults } from "./fronts";

/** What the edge, the valves and the edges of jobs have in common: process settings, time limits, name resolution. */

/** Where the directory with haproxy.cfg and the scripts is mounted, read-only. */
export const CONFIG_DIR = "/etc/gpubox";

/** Loopback port inside the container where the process itself answers 200; see assets/haproxy/health.sh. */
export const ALIVE_PORT = 4002;

/** Port inside the container for Prometheus: the process' own numbers at {@link METRICS_PATH}. */
export const METRICS_PORT = 4004;
export const METRICS_PATH = "/metrics";
/** Where a valve passes its backend's metrics on: only valves reach backends. */
export const BACKEND_METRICS_PATH = "/backend";

/** Socket of the master process, as an argument of `haproxy -S`; see assets/haproxy/control.sh. */
export const MASTER_SOCKET = "/tmp/master.sock,mode,600";

/** Minutes of silence in a stream, the time to its first token included. Not a limit of its duration. */
export const SILENCE_MINUTES = 15;

/** Minutes that a stream may outlive a reload of the configuration that it began under. */
export const HARD_STOP_MINUTES = 60;

/** Name of the backup server that leads to the listener which holds requests; assets/haproxy/hold.lua knows it too. */
const WAITING_SERVER = "waiting";
const WAITING_SOCKET = "unix@/tmp/waiting.sock";

/** In a backend: no connection to its server is used twice, so none that the server closes just when a request is sent on it. */
export const ONE_ANSWER = "option http-server-close";

/** In a listener: no connection of a client is used twice. */
export const ONE_REQUEST = "option httpclose";

const CONNECTIONS = { both: "option http-keep-alive", clients: ONE_ANSWER, none: ONE_REQUEST };

/** Rules after which `txn.path` is the request's path, decoded once as servers do, and means one thing only. */
export const PLAIN_PATH_RULES: string[] = [
  "# Decoded once, as the gateway does.",
  "http-request set-var(txn.path) path,url_dec",
  ...[
    "!{ var(txn.path) -m found }",
    "{ var(txn.path) -m sub // /./ /../ \\\\ }",
    "{ var(txn.path) -m end /. /.. }",
    "{ var(txn.path) -m reg [[:cntrl:]] }",
  ].map(
    (trick) =>
      `http-request return ${jsonError(400, "invalid_request", "The path is not in its normal form.")} if ${trick}`,
  ),
];

/**
 * `global`, name resolution, the `defaults` section `base` that every other section starts from, and the one of all
 * listeners.
 */
export function processSections(options: {
  clients: number;
  bufferBytes: number;
  /** Who keeps connections, unless a section says otherwise: clients and servers, clients alone, or nobody. */
  keepAlive: "both" | "clients" | "none";
  retryOn: string;
  /** What {@link errorAnswers} takes. */
  answers: Record<number, string>;
  /** Lua files of the configuration's directory besides those of every process. */
  scripts?: string[];
  /** Seconds. Default: {@link SILENCE_MINUTES}. */
  silence?: number;
  /** Seconds. Default: {@link HARD_STOP_MINUTES}, and `silence` where that is longer. */
  hardStop?: number;
}): string[] {
  const silence = options.silence ? `${options.silence}s` : `${SILENCE_MINUTES}m`;
  const outlive = options.hardStop ?? Math.max(HARD_STOP_MINUTES * 60, options.silence ?? 0);
  const hardStop = outlive === HARD_STOP_MINUTES * 60 ? `${HARD_STOP_MINUTES}m` : `${outlive}s`;
  return [
    "global",
    "  log stdout format raw local0 info",
    "  # One thread: a runtime command and a request never interleave, so a switch is one step for every request. It is",
    "  # far more than a GPU box can use.",
    "  nbthread 1",
    "  # A held request counts three times: its client, and both sides of the way to the listener that holds it.",
    `  maxconn ${options.clients * 3}`,
    `  tune.bufsize ${options.bufferBytes}`,
    `  hard-stop-after ${hardStop}`,
    "  # Newer versions ask for a choice that older ones do not know. It does not matter to hold.lua.",
    "  .if version_atleast(3.1)",
    "  tune.lua.bool-sample-conversion normal",
    "  .endif",
    `  lua-load ${CONFIG_DIR}/hold.lua`,
    `  lua-load ${CONFIG_DIR}/body.lua`,
    ...(options.scripts ?? []).map((script) => `  lua-load ${CONFIG_DIR}/${script}`),
    "",
    "# Docker's embedded DNS. It knows a container that runs, healthy or not. A name that it does not know any more is let",
    "# go soon: its address may be another container's by now. In an internal network it then gives no answer at all.",
    "resolvers docker",
    "  nameserver docker 127.0.0.11:53",
    "  resolve_retries 3",
    "  timeout resolve 1s",
    "  timeout retry 1s",
    "  # A container that comes back may have another address.",
    "  hold valid 1s",
    "  hold nx 1s",
    "  hold timeout 10s",
    "  hold refused 10s",
    "  hold other 10s",
    "",
    "defaults base",
    "  mode http",
    "  log global",
    "  # The path without its query: some clients put keys there.",
    '  log-format "%ci [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %HM %HPO"',
    "  option dontlognull",
    "  # Nobody speaks HTTP/2 in plain text: one such connection would carry a hundred requests.",
    "  option disable-h2-upgrade",
    "  # Chunks leave at once: the events of a stream are never gathered.",
    "  option http-no-delay",
    `  ${CONNECTIONS[options.keepAlive]}`,
    "  # A client that goes away frees what works for it.",
    "  option abortonclose",
    "  # After a reload an idle client gets one more answer, with `Connection: close`, instead of a closed connection.",
    "  option idle-close-on-response",
    "  # Another server at the first retry. Each failed connection takes one server out, so the last try waits.",
    "  option redispatch 1",
    "  retries 5",
    `  retry-on ${options.retryOn}`,
    "  timeout connect 2s",
    "  timeout http-request 30s",
    "  timeout http-keep-alive 60s",
    "  timeout queue 60s",
    `  timeout client ${silence}`,
    `  timeout server ${silence}`,
    ...errorAnswers(options.answers),
    "",
    ...frontDefaults(),
  ];
}

/**
 * Server settings of a checked backend that may go away at any time.
 *
 * - One failed connection takes the server out at once (`observe`): the next try goes elsewhere or waits, instead of
 *   failing until the health check notices.
 * - `init-addr none`: a name that is not there yet never blocks the start; requests wait until it is.
 * - `allow-dup-ip`: a new container may get the address of one that was removed a moment ago.
 */
export function defaultServer(options: { fall: number }): string {
  return (
    `default-server check inter 1s fastinter 500ms downinter 200ms rise 1 fall ${options.fall} ` +
    "observe layer4 error-limit 1 on-error mark-down " +
    "init-addr none resolvers docker resolve-prefer ipv4 resolve-opts allow-dup-ip"
  );
}

/**
 * The server of last resort: where requests wait when no other server of a backend is up. Each gets a connection of its own, so
 * that none comes to a process which a reload has made the old one.
 */
export function waitingServer(): string {
  return `server ${WAITING_SERVER} ${WAITING_SOCKET} backup no-check pool-max-conn 0`;
}

/** ACL-like condition: this answer came through {@link waitingServer}. */
export const FROM_WAITING = `{ srv_name ${WAITING_SERVER} }`;

/** The listener where requests wait; `rules` are those for a request that goes on. */
export function waitingFrontend(options: {
  backend: string;
  seconds: number;
  message: string;
  rules: string[];
}): string[] {
  return [
    "# Requests come here when no server is up: before they are sent, or after their connection failed.",
    `frontend waiting from ${FRONT}`,
    `  bind ${WAITING_SOCKET} mode 600`,
    `  http-request lua.hold ${options.backend} ${options.seconds}`,
    `  http-request return ${jsonError(503, "service_unavailable", options.message)} unless { var(txn.held) -m str served }`,
    "  # Its first try may have reached a process that died of it.",
    "  http-request disable-l7-retry",
    ...options.rules.map((rule) => `  ${rule}`),
    `  default_backend ${options.backend}`,
  ];
}

/** Name of the table that counts the requests that run. */
const RUNNING = "running";

/**
 * Rules of a frontend that answer 429 to a request above `most` at the same time, all frontends with these rules together.
 * A reload begins to count anew: what runs in the old process is not counted in the new one.
 *
 * @param which condition of the requests that count, for example `METH_POST`; none: every request
 */
export function parallelRules(most: number, message: string, which = ""): string[] {
  const only = which && ` if ${which}`;
  return [
    `http-request track-sc0 int(1) table ${RUNNING}${only}`,
    `http-request return ${jsonError(429, "rate_limit_error", message)} if { sc0_conn_cur(${RUNNING}) gt ${most} }`,
  ];
}

/** The table of {@link parallelRules}. */
export function parallelTable(): string[] {
  return countingTable(RUNNING);
}

/** Name of the table that counts every request, whatever its protocol. */
const AT_WORK = "atwork";

/**
 * Rules of a frontend that answer 503 to a request above `most` at the same time. `maxconn` counts connections, and one of
 * HTTP/2 carries a hundred requests, each with memory of its own.
 */
export function atWorkRules(most: number): string[] {
  const busy = jsonError(503, "service_unavailable", `This gateway has ${most} requests at work.`);
  return [
    `http-request track-sc1 int(1) table ${AT_WORK}`,
    `http-request return ${busy} if { sc1_conn_cur(${AT_WORK}) gt ${most} }`,
  ];
}

/** The table of {@link atWorkRules}. */
export function atWorkTable(): string[] {
  return countingTable(AT_WORK);
}

function countingTable(name: string): string[] {
  return [`backend ${name} from base`, "  stick-table type integer size 1 store conn_cur", ""];
}

/**
 * The listener that Prometheus asks. Its port is never published; it answers nothing but metrics, its own or those of
 * `backend`.
 *
 * @param more rules that answer other paths
 */
export function metricsFrontend(backend?: { address: string; path: string }, more: string[] = []): string[] {
  const listener = [
    `frontend metrics from ${FRONT}`,
    `  bind :${METRICS_PORT}`,
    "  http-request set-log-level silent",
    `  http-request use-service prometheus-exporter if { path ${METRICS_PATH} }`,
    ...more.map((rule) => `  ${rule}`),
  ];
  if (!backend) return [...listener, "  http-request deny deny_status 404", ""];
  return [
    ...listener,
    `  http-request deny deny_status 404 unless { path ${BACKEND_METRICS_PATH} }`,
    `  http-request set-path ${backend.path}`,
    "  default_backend backend-metrics",
    "",
    "backend backend-metrics from base",
    "  no log",
    "  timeout server 10s",
    "  # Prometheus would go where it leads.",
    "  http-response deny deny_status 502 if { status 300:399 }",
    `  server backend ${backend.address} init-addr none resolvers docker resolve-prefer ipv4 no-check`,
    "",
  ];
}

/** The listener that the container's own health check asks. */
export function aliveFrontend(): string[] {
  return [
    `frontend alive from ${FRONT}`,
    `  bind 127.0.0.1:${ALIVE_PORT}`,
    "  http-request set-log-level silent",
    "  http-request return status 200",
  ];
}
