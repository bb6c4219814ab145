import type { TextPart } from "../../kit/text";
import { jsonError } from "./answers";
import { CONFIG_DIR } from "./common";
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

/** Places where clients of the two protocols put a key: header field, variable, and how to extract the key. */
const PLACES = [
  ["authorization", "txn.bearer", "http_auth_bearer"],
  ["x-api-key", "txn.xkey", "req.fhdr(x-api-key)"],
  ["api-key", "txn.akey", "req.fhdr(api-key)"],
] as const;

/** Further places where LiteLLM looks for a key, some of them first. */
const OTHER_PLACES = ["x-litellm-api-key", "x-goog-api-key", "Ocp-Apim-Subscription-Key"];

/** `set-var` for what a request presents in each place, as keys.map names keys, and for a place that holds two. */
const READ_KEYS = PLACES.flatMap(([header, name, fetch]) => [
  `http-request set-var-fmt(${name}) "key:%[${fetch}]"`,
  `http-request set-var(txn.bad_key) bool(true) if { req.fhdr_cnt(${header}) gt 1 }`,
]);

/** The master key that the serving gateways know. /tmp/knows.map holds its name, see assets/edge/upstream.sh. */
const KNOWN_KEY = `http-request set-var(txn.known) str(generation),map(/tmp/knows.map),map(${KEYS})`;

/** Replaces a master key, in whichever of its places the client sent it, by the one that the serving gateways know. */
export const KEY_RULES = [
  KNOWN_KEY,
  ...READ_KEYS,
  ...[
    ['Authorization "Bearer %[var(txn.known)]"', "txn.bearer"],
    ["x-api-key %[var(txn.known)]", "txn.xkey"],
    ["api-key %[var(txn.known)]", "txn.akey"],
  ].map(
    ([header, presented]) =>
      `http-request set-header ${header} if { var(txn.known) -m found } { var(${presented}),map(${KEYS}) -m found }`,
  ),
];

const NO_VALID_KEY = noValidKey(
  "This gateway asks for a valid key: Authorization: Bearer, x-api-key or api-key. Whichever of them are sent have to hold it.",
);

function noValidKey(message: string): string {
  return jsonError(401, "authentication_error", message);
}

/**
 * Rules that turn away a request with any key which is not in keys.map: a gateway looks at one of several, and answers one
 * that it cannot know with a 400 or 500. A request without a key goes on.
 */
function onlyKnownKeys(refusal: string, places: readonly (typeof PLACES)[number][] = PLACES): string[] {
  return [
    ...places.map(
      ([header, name]) =>
        `http-request set-var(txn.bad_key) bool(true) if { req.fhdr_cnt(${header}) gt 0 } !{ var(${name}),map(${KEYS}) -m found }`,
    ),
    `http-request return ${refusal} if { var(txn.bad_key) -m bool }`,
  ];
}

/**
 * Rules that turn away a request whose keys differ, or whose Authorization is none of a client's: only the gateway knows which
 * keys are valid, and it looks at one of them.
 */
const ONE_KEY = [
  "# With the master key of the gateways in the place of another valid one.",
  ...READ_KEYS,
  "http-request set-var(txn.bad_key) bool(true) if { req.fhdr_cnt(authorization) gt 0 } { var(txn.bearer) -m str key: }",
  ...[
    [0, 1],
    [0, 2],
    [1, 2],
  ].map(([one = 0, other = 0]) => {
    const [[left, first], [right, second]] = [PLACES[one]!, PLACES[other]!];
    return `http-request set-var(txn.bad_key) bool(true) if { req.fhdr_cnt(${left}) gt 0 } { req.fhdr_cnt(${right}) gt 0 } !{ var(${first}),strcmp(${second}) eq 0 }`;
  }),
  `http-request return ${NO_VALID_KEY} if { var(txn.bad_key) -m bool }`,
];

/** Rules of the admin port where only master keys are valid. The gateway knows which of its own routes ask for one. */
export const REFUSE_OTHER_KEYS = [...withoutOtherPlaces(), ...onlyKnownKeys(NO_VALID_KEY)];

/** Turns away requests without a key that could be valid, as every client of both protocols understands it. */
export function askForKey(keys: "master" | "virtual"): string[] {
  return [
    ...withoutOtherPlaces(),
    ...(keys === "master" ? onlyKnownKeys(NO_VALID_KEY) : ONE_KEY),
    ...PLACES.map(([header]) => `acl sends_key req.fhdr_cnt(${header}) gt 0`),
    "acl health_route var(txn.path) -m beg /health/",
    `http-request return ${NO_VALID_KEY} if !sends_key !health_route`,
  ];
}

/** Rules of a listener whose only keys are those in its keys.map, in the places that `places` names. */
export function askForKnownKey(message: string, places: ("x-api-key" | "api-key")[]): string[] {
  const asked = PLACES.filter(([header]) => header === "authorization" || places.includes(header));
  return [
    ...READ_KEYS,
    ...onlyKnownKeys(noValidKey(message), asked),
    ...asked.map(([header]) => `acl sends_key req.fhdr_cnt(${header}) gt 0`),
    `http-request return ${noValidKey(message)} if !sends_key`,
  ];
}

/** A key that the edge does not check must not reach the gateway. */
export function withoutOtherPlaces(): string[] {
  return OTHER_PLACES.map((header) => `http-request del-header ${header}`);
}

/** Rules of a clients' port that asks for no key. */
export function openRules(hosts: string[]): string[] {
  return [
    ...hostNames(hosts).map(
      (host) => `acl own_origin req.fhdr(Origin),regsub(^https?://,),host_only -m str ${host}`,
    ),
    "# No key protects this port, so a web page that is open on this machine must not use it either.",
    `http-request return ${jsonError(403, "permission_denied", "Web pages of other hosts may not use this gateway: gateway.auth is none.")} if { req.hdr(Origin) -m found } !own_origin`,
    ...PLACES.map(([header]) => `http-request del-header ${header}`),
    ...withoutOtherPlaces(),
    KNOWN_KEY,
    'http-request set-header Authorization "Bearer %[var(txn.known)]"',
  ];
}
