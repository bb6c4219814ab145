import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "./allocate";

/** True where certificates can be made. */
export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** PEM texts. */
export interface Pair {
  certificate: string;
  key: string;
}

export interface Wish {
  /** Host names and addresses. */
  names: string[];
  /** Days that it is valid. Default: 30. */
  days?: number;
  /** Who signs it; the certificate then carries no chain, as this authority is a root. Default: itself. */
  by?: Pair;
}

/** A root that clients have to be told of. */
export function makeAuthority(name = "Test Authority"): Pair {
  return sign([
    ...["-subj", `/O=${name}/CN=${name}`, "-days", "30"],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
  ]);
}

/** A server's certificate. */
export function makeCertificate({ names, days = 30, by }: Wish): Pair {
  const alternatives = names
    .map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`))
    .join(",");
  return sign(
    [
      ...["-subj", `/CN=${names[0] ?? "nobody"}`, "-days", String(days)],
      ...(names.length > 0 ? ["-addext", `subjectAltName=${alternatives}`] : []),
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    by,
  );
}

function sign(args: string[], by?: Pair): Pair {
  const dir = scratch("certificate");
  const at = (file: string) => join(dir, file);
  try {
    if (by) {
      writeFileSync(at("ca.pem"), by.certificate);
      writeFileSync(at("ca.key"), by.key);
    }
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", at("key"), "-out", at("certificate"), ...args],
        ...(by ? ["-CA", at("ca.pem"), "-CAkey", at("ca.key")] : []),
      ],
      { stdio: "pipe" },
    );
    return {
      certificate: readFileSync(at("certificate"), "utf8"),
      key: readFileSync(at("key"), "utf8"),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
