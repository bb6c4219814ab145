import type { TextPart } from "../text";
import { CONFIG_DIR, jsonError } from "./common";
import { hostNames } from "./edgeHosts";

/**
 * keys.map of the edge: the master keys by the names `master` and `previous`, and the name of each key that a client may
 * present. The key that the serving gateways know is looked up in it, so that both keys work before, during and after a
 * rotation. Secrets must have no white space; the schema of the stack's config says so.
 */
export function edgeKeys(options: { previousMasterKey: boolean }): TextPart[] {
  const named = (name: string, secret: string): TextPart[] => [
    `${name} `,
    { secret, as: "raw" },
    "\nkey:",
    { secret, as: "raw" },
    ` ${name}\n`,
  ];
  return [
    "# Made by gpubox from the stack's secrets.\n",
    ...named("master", "masterKey"),
    ...(options.previousMasterKey ? named("previous", "previousMasterKey") : []),
  ];
}

const KEYS = `${CONFIG_DIR}/keys.map`;

/** The master key that the serving gateways know. /tmp/knows.map holds its name, see assets/edge/upstream.sh. */
const KNOWN_KEY = `http-request set-var(txn.known) str(generation),map(/tmp/knows.map),map(${KEYS})`;

/** Replaces a master key, in whichever of its places the client sent it, by the one that the serving gateways know. */
export const KEY_RULES = [
  KNOWN_KEY,
  'http-request set-var-fmt(txn.bearer) "key:%[http_auth_bearer]"',
  'http-request set-var-fmt(txn.xkey) "key:%[req.fhdr(x-api-key)]"',
  'http-request set-var-fmt(txn.akey) "key:%[req.fhdr(api-key)]"',
  ...[
    ['Authorization "Bearer %[var(txn.known)]"', "txn.bearer"],
    ["x-api-key %[var(txn.known)]", "txn.xkey"],
    ["api-key %[var(txn.known)]", "txn.akey"],
  ].map(
    ([header, presented]) =>
      `http-request set-header ${header} if { var(txn.known) -m found } { var(${presented}),map(${KEYS}) -m found }`,
  ),
];

const NO_VALID_KEY = jsonError(
  401,
  "authentication_error",
  "This gateway asks for a valid key: Authorization: Bearer, x-api-key or api-key.",
);

/**
 * Turns away a key that cannot be valid, where a gateway would answer it with a 400 or 500. A request without a key goes on:
 * the gateway knows which of its own routes ask for one.
 */
export const REFUSE_OTHER_KEYS = [
  ...["authorization", "x-api-key", "api-key"].map((name) => `acl sends_key req.hdr(${name}) -m found`),
  ...["txn.bearer", "txn.xkey", "txn.akey"].map((name) => `acl has_key var(${name}),map(${KEYS}) -m found`),
  `http-request return ${NO_VALID_KEY} if sends_key !has_key`,
];

/** Turns away requests without a key that could be valid, as every client of both protocols understands it. */
export function askForKey(keys: "master" | "virtual"): string[] {
  const presented =
    keys === "master"
      ? ["txn.bearer", "txn.xkey", "txn.akey"].map((name) => `var(${name}),map(${KEYS}) -m found`)
      : ["authorization", "x-api-key", "api-key"].map((name) => `req.hdr(${name}) -m found`);
  return [
    ...presented.map((fetch) => `acl has_key ${fetch}`),
    "acl health_route var(txn.path) -m beg /health/",
    `http-request return ${NO_VALID_KEY} if !has_key !health_route`,
  ];
}

/** Rules of a clients' port that asks for no key. */
export function openRules(hosts: string[]): string[] {
  return [
    ...hostNames(hosts).map(
      (host) => `acl own_origin req.fhdr(Origin),regsub(^https?://,),host_only -m str ${host}`,
    ),
    "# No key protects this port, so a web page that is open on this machine must not use it either.",
    `http-request return ${jsonError(403, "permission_denied", "Web pages of other hosts may not use this gateway: gateway.auth is none.")} if { req.hdr(Origin) -m found } !own_origin`,
    "http-request del-header x-api-key",
    "http-request del-header api-key",
    "http-request del-header x-litellm-api-key",
    KNOWN_KEY,
    'http-request set-header Authorization "Bearer %[var(txn.known)]"',
  ];
}
