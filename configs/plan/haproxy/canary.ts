import { FRONT } from "./fronts";

/** Files of a valve whose model may have a canary: name in its directory to path under assets/. */
export const CANARY_ASSETS: Record<string, string> = {
  "canary.lua": "haproxy/canary.lua",
  "canary.sh": "haproxy/canary.sh",
  "canary.awk": "haproxy/canary.awk",
};

/** What HAProxy loads of them. */
export const CANARY_SCRIPTS = ["canary.lua"];

/** Bytes of a request that can be repeated at the server before: what the edge keeps for the same reason. */
export const CANARY_BUFFER_BYTES = 131_072;

const BEFORE_SOCKET = "unix@/tmp/before.sock";

/** Rules of a listener, after its others: questions of the share go to the new server, and all are timed. */
export const CANARY_RULES: string[] = [
  "http-request lua.canary if METH_POST",
  "# Until the first byte: some engines send their header fields at once, and their first token when they have it.",
  "http-response wait-for-body time 15m at-least 1 if { var(txn.begun) -m found } { status 200 }",
  "http-response lua.answered if { var(txn.begun) -m found }",
  "use_backend canary if { var(txn.canary) -m found }",
];

/**
 * Where a canary's share goes. A question that the new server fails is asked once more, of the server before, as long as its answer
 * has not begun. It goes there through a listener of this process, as any other request does.
 *
 * @param answers rules for answers of the new server, without their condition about it
 */
export function canaryProxies(options: { name: string; port: number; answers: string[] }): string[] {
  return [
    "backend canary from base",
    "  no log",
    "  retries 1",
    "  retry-on conn-failure empty-response 500 502 503 504",
    "  # It can be repeated if all of it is here.",
    "  http-request wait-for-body time 10s",
    ...options.answers.map((rule) => `  ${rule}${rule.startsWith("#") ? "" : " { srv_name next }"}`),
    "  # By its rule alone it gets requests, so that a second try goes elsewhere.",
    "  use-server next if TRUE",
    `  server next ${options.name}:${options.port} weight 0 track model/next resolvers docker resolve-prefer ipv4 init-addr none resolve-opts allow-dup-ip`,
    `  server before ${BEFORE_SOCKET}`,
    "",
    `frontend before from ${FRONT}`,
    `  bind ${BEFORE_SOCKET} mode 600`,
    "  default_backend model",
    "",
  ];
}
