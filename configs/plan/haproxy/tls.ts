import { isIP } from "node:net";
import { jsonError } from "./answers";
import { ONE_ANSWER } from "./common";
import { FRONT } from "./fronts";

/** Port of the edge's plain HTTP inside the container: the authority's challenges, and the way to https for the rest. */
export const HTTP_PORT = 4003;
/** Port of the admin listener that speaks TLS inside the container. */
export const ADMIN_TLS_PORT = 4005;
/** Where the directory with tls.pem is mounted that another container keeps up to date. */
export const CERTIFICATES_DIR = "/var/lib/certificates";
/** Path of the edge's metrics listener that tells until when its certificate is good. */
export const EXPIRY_PATH = "/certificate";
/** Name and port of the container that answers a certificate authority's challenges. */
const CHALLENGES = "certificates:8080";

export interface EdgeTls {
  /** A PEM file with certificate, chain and key, or a directory of such files. */
  certificate: string;
  /** True: the edge starts without a certificate, and refuses connections for hosts that have none. */
  strictSni?: boolean;
  /** Plain HTTP at {@link HTTP_PORT} answers challenges and leads all others to this port of the host. */
  challenges?: { httpsPort: number };
}

// Mozilla's "intermediate" recommendation, version 5.7, without the DHE ciphers that only clients before 2014 need.
const CIPHERS = ["ECDSA", "RSA"].flatMap((kind) =>
  ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"].map((cipher) => `ECDHE-${kind}-${cipher}`),
);
const CIPHERSUITES = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"];

/** The TLS options after the address of a `bind` line; empty without TLS. */
export function tlsBind(tls: EdgeTls | undefined): string {
  if (!tls) return "";
  const strict = tls.strictSni ? " strict-sni" : "";
  return (
    ` ssl crt ${tls.certificate}${strict} alpn h2,http/1.1 ssl-min-ver TLSv1.2 no-tls-tickets` +
    ` ciphers ${CIPHERS.join(":")} ciphersuites ${CIPHERSUITES.map((suite) => `TLS_${suite}`).join(":")}`
  );
}

/**
 * The rule that tells Prometheus until when the certificate is good, in seconds since 1970; not a number where there is none
 * yet. /tmp/expiry.map is filled by assets/edge/certificates.sh: HAProxy's own exporter does not tell it.
 *
 * @param hosts that the certificate is for; the first that is a name stands for all
 */
export function expiryRule(hosts: string[]): string {
  const host = hosts.find((name) => !isIP(name)) ?? hosts[0] ?? "localhost";
  const metric = `gpubox_certificate_expiry_timestamp_seconds{host=\\"${host}\\"} %[str(expiry),map(/tmp/expiry.map,NaN)]`;
  return `http-request return status 200 content-type "text/plain; version=0.0.4" lf-string "${metric}\\n" if { path ${EXPIRY_PATH} }`;
}

/**
 * The sections that answer on plain HTTP; none without challenges. A request that carries a key gets an error instead of a
 * redirect, because a redirected client would keep sending its key in clear.
 *
 * @param knownHost the rules that leave only known hosts
 */
export function plainSections(tls: EdgeTls | undefined, knownHost: string[]): string[] {
  if (!tls?.challenges) return [];
  const { httpsPort } = tls.challenges;
  const port = httpsPort === 443 ? "" : `:${httpsPort}`;
  return [
    `frontend plain from ${FRONT}`,
    `  bind :${HTTP_PORT}`,
    ...knownHost.map((line) => `  ${line}`),
    "  acl challenge path_beg /.well-known/acme-challenge/",
    "  http-request allow if challenge",
    ...["authorization", "x-api-key", "api-key"].map((name) => `  acl has_key req.hdr(${name}) -m found`),
    `  http-request return ${jsonError(403, "permission_denied", "This port is not encrypted and a key was sent to it: use https, and another key if somebody may have read this one.")} if has_key`,
    "  http-request set-var(txn.host) req.fhdr(Host),host_only",
    `  http-request redirect code 308 location https://%[var(txn.host)]${port}%[pathq]`,
    "  use_backend challenges",
    "",
    "# The certificate client listens only while it asks for one.",
    "backend challenges from base",
    `  ${ONE_ANSWER}`,
    `  server certificates ${CHALLENGES} no-check init-addr none resolvers docker resolve-prefer ipv4`,
    "",
  ];
}
