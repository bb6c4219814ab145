import { z } from "zod";
import { absolutePath, hostName, port, secretRef } from "./shared";

/** Directory of Let's Encrypt, the default of `acme.directory`. */
export const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";

const pem = z.union([absolutePath, secretRef], {
  error: "Write an absolute path on the host, or { secret: <name of a secret with the PEM text> }.",
});

const acmeSchema = z.strictObject({
  agreeToTerms: z
    .literal(true, {
      error: "Write agreeToTerms: true once you agree to the terms of the certificate authority.",
    })
    .describe("That you agree to the terms of the certificate authority."),
  email: z.email("Write an e-mail address.").optional().describe("Where the authority may write to."),
  directory: z
    .url({ protocol: /^https$/, error: "Write the https URL of the authority's ACME directory." })
    .default(LETS_ENCRYPT)
    .describe("ACME directory of the certificate authority. Default: Let's Encrypt."),
  trust: z
    .string()
    .regex(/^\s*-----BEGIN CERTIFICATE-----/, "Write the root certificate as PEM text.")
    .optional()
    .describe(
      "PEM text of the root that signed the directory's own certificate, for an authority of one's own.",
    ),
  port: port
    .default(80)
    .describe(
      "Port of this host that the authority reaches as port 80 of `hosts`; another one behind a router.",
    ),
});

export const tlsSchema = z
  .strictObject({
    certificate: pem
      .optional()
      .describe(
        "The server's certificate and its chain: a file of the host that somebody renews, or a secret.",
      ),
    key: pem.optional().describe("Its private key, from the same kind of source."),
    acme: acmeSchema
      .optional()
      .describe("Certificates for `hosts` from a public authority, renewed by the box."),
  })
  .describe("The clients' port speaks TLS, with own certificate files, with secrets, or by ACME.");

export type TlsConfig = z.infer<typeof tlsSchema>;

export const adminSchema = z
  .strictObject({
    bind: z
      .union([z.ipv4(), z.ipv6()])
      .describe("A second address of this host for the admin port, besides 127.0.0.1. It speaks TLS."),
    hosts: z
      .array(hostName)
      .default([])
      .describe("Host names of the admin port, besides those of `gateway.hosts`."),
    unencrypted: z
      .literal(true, { error: "Write unencrypted: true, or leave it out." })
      .optional()
      .describe(
        "Plain HTTP on that address: whoever is on the way reads the master key. A tailnet encrypts by itself.",
      ),
  })
  .describe("Opens the admin UI and routes on another address than loopback.");

export type AdminConfig = z.infer<typeof adminSchema>;
