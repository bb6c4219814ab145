import { jsonError } from "./answers";

/** Name of the `defaults` section that every listener starts from, so that none is without its rules. */
export const FRONT = "front";

const NO_UPGRADE = jsonError(
  400,
  "invalid_request",
  "This server upgrades no connection: neither WebSocket, nor h2c, nor CONNECT. Send plain HTTP requests.",
);

/**
 * What holds on every listener, before its own rules.
 *
 * A connection that becomes something else is seen by none of them: neither keys, nor routes, nor limits, nor the drain of a
 * gateway count what goes through it. HTTP/2's extended CONNECT (RFC 8441) looks like a request for an upgrade here.
 */
export function frontDefaults(): string[] {
  return [
    `defaults ${FRONT} from base`,
    `  http-request return ${NO_UPGRADE} if { req.fhdr_cnt(upgrade) gt 0 }`,
    `  http-request return ${NO_UPGRADE} if { req.fhdr(connection) -m reg -i (^|[^a-z0-9-])upgrade([^a-z0-9-]|$) }`,
    `  http-request return ${NO_UPGRADE} if METH_CONNECT`,
    "  # Nobody asked for it.",
    `  http-response return ${jsonError(502, "bad_gateway", "The server tried to change the protocol.")} if { status 101 }`,
    "  # What body.lua stops is a bad request to HAProxy.",
    "  http-after-response set-status 413 if { status 400 } { var(txn.problem_status) -m int 413 }",
    "",
  ];
}
