import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";

/** The public facts in a PEM text. */
export interface PemFacts {
  /** Its first certificate. */
  certificate?: CertificateFacts;
  /** The public half of its private key, as a fingerprint. */
  key?: string;
  /** Why its first certificate or key cannot be used, if it cannot. */
  flaw?: string;
}

export interface CertificateFacts {
  /** Host names and addresses that it is for; a name may begin with `*.`. */
  names: string[];
  /** Start and end of its validity, ISO 8601. */
  from: string;
  until: string;
  /** Fingerprint of the key that it is for. */
  key: string;
  /** Those of the other certificates in the text. */
  otherKeys: string[];
}

/** Path of a certificate file on the host to its facts; `missing` when its directory exists and the file does not. */
export type CertificateFiles = Record<string, PemFacts | "missing">;

/** Reads certificates and a private key. Never throws; nothing of the private key is in the answer. */
export function pemFacts(text: string): PemFacts {
  const blocks = (kind: string) =>
    [...text.matchAll(new RegExp(`-----BEGIN (${kind})-----[^-]*-----END \\1-----`, "g"))].map(
      ([block]) => block,
    );
  const facts: PemFacts = {};
  try {
    const [first, ...others] = blocks("(?:TRUSTED )?CERTIFICATE").map((block) => new X509Certificate(block));
    if (first) facts.certificate = certificateFacts(first, others);
  } catch {
    return { flaw: "holds a certificate that cannot be read" };
  }
  const key = blocks("[A-Z ]*PRIVATE KEY")[0];
  if (!key) return facts;
  if (/ENCRYPTED/.test(key)) return { ...facts, flaw: "is protected by a passphrase" };
  try {
    return { ...facts, key: fingerprint(createPublicKey(createPrivateKey(key))) };
  } catch {
    return { ...facts, flaw: "holds a key that cannot be read" };
  }
}

/** True if a certificate with these names covers `host`. `*` stands for one label; addresses must match exactly. */
export function covers(names: string[], host: string): boolean {
  const wanted = host.toLowerCase();
  const parent = wanted.slice(wanted.indexOf(".") + 1);
  return names.some((name) => name === wanted || (name.startsWith("*.") && name.slice(2) === parent));
}

function certificateFacts(first: X509Certificate, others: X509Certificate[]): CertificateFacts {
  return {
    names: (first.subjectAltName ?? "")
      .split(", ")
      .flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1]?.toLowerCase() ?? []),
    from: new Date(first.validFrom).toISOString(),
    until: new Date(first.validTo).toISOString(),
    key: fingerprint(first.publicKey),
    otherKeys: others.map(({ publicKey }) => fingerprint(publicKey)),
  };
}

function fingerprint(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}
