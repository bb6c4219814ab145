import type { DeviceNeed } from "../../kit/types";
import { errorBody, jsonError, quoted } from "./answers";
import { aliveFrontend, CONFIG_DIR, processSections } from "./common";
import { FRONT } from "./fronts";
import { GROUP_HEADER, VALVE_ASSETS, VALVE_CONNECTIONS } from "./valve";

/** Where the scheduler finds the seats of its models. */
export const SEATS_DIR = "/run/gpubox/seats";

/**
 * Connections that the scheduler's 256 MiB hold, however many valves could send more: one that waits takes 41 KiB (measured with 1900,
 * whose bodies had begun), and a reload has two processes for a while. The next one waits until it is accepted.
 */
const MOST_CONNECTIONS = 4000;

/** A request's header fields; a body is never kept. */
const BUFFER_BYTES = 16_384;

/** What the valves ask: whether the scheduler is there, whatever is loaded. */
export const GROUP_HEALTH = "/gpubox/health";

/** The scheduler's parts, in the order in which each needs those before it. */
const SCRIPTS = ["seats.lua", "groupRecord.lua", "groupMemory.lua", "group.lua"];

/** Files of a scheduler's directory: name there to path under assets/. haproxy.cfg and members.lua are made here. */
export const GROUP_ASSETS = {
  ...VALVE_ASSETS,
  ...Object.fromEntries(SCRIPTS.map((script) => [script, `haproxy/${script}`])),
};

/** A model of a group, as its scheduler knows it. */
export interface GroupMember {
  /** Public name, for the answers. */
  name: string;
  /** Its name in containers, directories and sections. */
  slug: string;
  /** Port that its valve asks. */
  port: number;
  /** Its server's name and port on the network of the backends. */
  server: { name: string; port: number };
  needs: DeviceNeed[];
  /** What of that it keeps while it sleeps; absent where its engine is ended in place of that. */
  asleep?: DeviceNeed[];
  priority: number;
  pinned: boolean;
  /** Seconds without a request until it is unloaded; 0: never. */
  idleSeconds: number;
  /** Seconds that a request waits. */
  waitSeconds: number;
  /** Seconds that a load may take: the estimate until one was measured. */
  readySeconds: number;
  /** Command that starts its container. */
  startHint: string;
  /** Seconds that it may be silent over one request. Default: 15 minutes. */
  silence?: number;
}

/** haproxy.cfg of a group's scheduler: a listener for each model, which lets requests through once the model is loaded. */
export function groupConfig(members: GroupMember[]): string {
  const silence = Math.max(0, ...members.map((member) => member.silence ?? 0));
  const stopped = jsonError(503, "service_unavailable", "The model's server stopped before it answered.");
  return `${[
    "# Made by gpubox from the stack's config: the scheduler of models that share a budget of memory.",
    ...processSections({
      // Counted three times there, and once here: nothing waits at a listener of its own.
      clients: Math.ceil(Math.min(MOST_CONNECTIONS, members.length * VALVE_CONNECTIONS) / 3),
      bufferBytes: BUFFER_BYTES,
      keepAlive: "none",
      retryOn: "conn-failure",
      answers: {
        502: stopped,
        503: stopped,
        504: jsonError(504, "timeout", "The model's server was silent for too long."),
      },
      ...(silence > 0 ? { silence } : {}),
    }),
    "global",
    ...["members.lua", ...SCRIPTS].map((script) => `  lua-load ${CONFIG_DIR}/${script}`),
    "",
    ...members.flatMap(memberSections),
    ...aliveFrontend(),
  ].join("\n")}\n`;
}

function memberSections({ slug, port, server }: GroupMember): string[] {
  const refused = quoted(errorBody(503, "service_unavailable", "%[var(txn.problem),json(utf8s)]"));
  return [
    `frontend to-${slug} from ${FRONT}`,
    `  bind :${port}`,
    `  maxconn ${VALVE_CONNECTIONS}`,
    `  http-request set-log-level silent if { path ${GROUP_HEALTH} }`,
    `  http-request return status 200 if { path ${GROUP_HEALTH} }`,
    `  http-request lua.seat ${slug}`,
    `  http-request return status 503 content-type application/json lf-string ${refused} hdr Retry-After "%[var(txn.retry)]" hdr ${GROUP_HEADER} 1 unless { var(txn.seated) -m bool }`,
    `  default_backend ${slug}`,
    "",
    `backend ${slug} from base`,
    "  no log",
    `  http-response del-header ${GROUP_HEADER}`,
    // No check: the seat says when the engine answers, and a check every second would keep it from being idle.
    `  server engine ${server.name}:${server.port} init-addr none resolvers docker resolve-prefer ipv4 no-check`,
    "",
  ];
}

/** members.lua: what the scheduler goes by. */
export function groupMembers(budget: DeviceNeed[], members: GroupMember[]): string {
  const sizes = (needs: DeviceNeed[]) =>
    `{ ${needs.map(({ device, mib }) => `[${word(device)}] = ${mib}`).join(", ")} }`;
  const lines = members.map(
    (one) =>
      `    { name = ${word(one.name)}, slug = ${word(one.slug)}, container = ${word(one.server.name)}, start = ${word(one.startHint)},\n` +
      `      needs = ${sizes(one.needs)}, priority = ${one.priority}, pinned = ${one.pinned},\n` +
      (one.asleep ? `      asleep = ${sizes(one.asleep)},\n` : "") +
      `      idle = ${one.idleSeconds}, wait = ${one.waitSeconds}, ready = ${one.readySeconds} },`,
  );
  return [
    "-- Made by gpubox from the stack's config. Sizes are MiB, times are seconds.",
    "gpubox_group = {",
    `  seats = ${word(SEATS_DIR)},`,
    `  budget = ${sizes(budget)},`,
    "  members = {",
    ...lines,
    "  },",
    "}",
    "",
  ].join("\n");
}

/** A string of Lua. What JSON escapes, Lua reads the same: names have no control characters. */
function word(text: string): string {
  return JSON.stringify(text);
}
