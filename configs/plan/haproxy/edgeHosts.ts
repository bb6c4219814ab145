import { isIPv6 } from "node:net";
import { jsonError, RETRY_AFTER_SECONDS } from "./answers";
import { PLAIN_PATH_RULES } from "./common";

/** The Host that gateways see, whatever the client sent (CVE-2026-49468: LiteLLM took it into its authentication). */
export const FORWARDED_HOST = "gateway";

/** Header fields by which a client could tell the gateway who it is or where it came from. */
const CLAIMED = [
  "Forwarded",
  "X-Forwarded-Host",
  "X-Forwarded-Proto",
  "X-Forwarded-Port",
  "X-Forwarded-Prefix",
  "X-Real-IP",
];

/** Rules of both ports: require a known Host and an unambiguous path, and remove headers in which clients claim an identity. */
export function requestRules(hosts: string[]): string[] {
  return [
    ...knownHost(hosts),
    ...PLAIN_PATH_RULES,
    `http-request set-header Host ${FORWARDED_HOST}`,
    "http-request set-header X-Forwarded-For %[src]",
    ...CLAIMED.map((name) => `http-request del-header ${name}`),
    "http-request del-header x-gpubox-held",
  ];
}

export function knownHost(hosts: string[]): string[] {
  return [
    ...hostNames(hosts).map((host) => `acl known_host req.fhdr(Host),host_only -m str ${host}`),
    `http-request return ${jsonError(421, "misdirected_request", "This gateway does not answer to that host name. Add it to gateway.hosts in the stack's config.")} if !known_host`,
  ];
}

/** A redirect to the fixed Host would lead nowhere. */
export const RESPONSE_RULES = [
  "# LiteLLM does not pass on what a backend says of when to come back.",
  `http-response set-header Retry-After ${RETRY_AFTER_SECONDS} if { status 503 } !{ res.hdr(retry-after) -m found }`,
  `http-response replace-header Location ^https?://${FORWARDED_HOST}(:[0-9]+)?/(.*)$ /\\2`,
];

/** The hosts that are answered, as HAProxy's `host_only` gives them. */
export function hostNames(hosts: string[]): string[] {
  const names = hosts.map((host) => {
    if (/^[A-Za-z0-9._-]+$/.test(host)) return host.toLowerCase();
    const ipv6 = host.replace(/^\[(.*)\]$/, "$1");
    if (isIPv6(ipv6)) return `[${ipv6.toLowerCase()}]`;
    throw new Error(`not a host name or an IP address: ${JSON.stringify(host)}`);
  });
  return [...new Set(["localhost", "127.0.0.1", "[::1]", ...names])];
}
