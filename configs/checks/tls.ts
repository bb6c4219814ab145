import { isIP } from "node:net";
import type { Problem } from "../kit/problems";
import { isWildcard } from "../network/addresses";
import type { GatewayConfig } from "../schema/gateway";
import type { SecretRef } from "../schema/shared";
import { LETS_ENCRYPT } from "../schema/tls";
import type { SecretFacts } from "../secrets/facts";
import { type CertificateFacts, type CertificateFiles, covers, type PemFacts } from "../secrets/pem";
import type { StackConfig } from "../stack/config";
import { secretsOf } from "../stack/optionalModels";

const PATH = "gpubox:gateway.tls";

/** The facts about certificates, and the time at which they must be valid. */
export interface CertificateSources {
  secrets: SecretFacts;
  files: CertificateFiles;
  now: Date;
}

/** Names of the secrets that hold a certificate or its key. */
export function pemSecrets({ gateway, database }: Pick<StackConfig, "gateway" | "database">): string[] {
  return secretsOf([gateway.tls, database.tls]).map(({ name }) => name);
}

/** Mistakes in how the clients' port gets its certificate, and in the certificate itself where it is known. */
export function checkTls({ gateway }: StackConfig, sources: CertificateSources): Problem[] {
  const { tls } = gateway;
  if (!tls) return [];
  const { certificate, key, acme } = tls;
  if (acme && (certificate || key))
    return [
      {
        path: PATH,
        what: "It names two sources of certificates, own ones and acme.",
        fix: "Keep certificate and key, or keep acme.",
      },
    ];
  if (acme) return checkAcme(gateway, acme);
  if (!certificate || !key)
    return [
      {
        path: PATH,
        what: certificate ? "The certificate's key is missing." : "It names no certificate.",
        fix: "Write certificate and key, both as paths or both as secrets, or acme: { agreeToTerms: true }.",
        judgedBy: { paths: ["gpubox:gateway.tls"] },
      },
    ];
  if (typeof certificate !== typeof key)
    return [
      {
        path: PATH,
        what: "The certificate and the key come from different kinds of sources.",
        fix: "Name two files of the host, or two secrets.",
      },
    ];
  const inRoot = [certificate, key].filter(
    (source) => typeof source === "string" && /^\/[^/]+$/.test(source),
  );
  if (inRoot.length > 0)
    return [
      {
        path: `${PATH}.${inRoot[0] === certificate ? "certificate" : "key"}`,
        what: `${inRoot[0]} lies in the host's root directory, which would be mounted whole.`,
        fix: "Put it into a directory of its own.",
      },
    ];
  const found = certificateOf(certificate, `${PATH}.certificate`, sources);
  const private_ = keyOf(key, `${PATH}.key`, sources);
  const problems = [...found.problems, ...private_.problems];
  if (!found.certificate) return problems;
  return [
    ...problems,
    ...checkValidity(found.certificate, gateway.hosts, sources.now),
    ...(private_.key ? checkPair(found.certificate, private_.key) : []),
  ];
}

type Acme = NonNullable<NonNullable<GatewayConfig["tls"]>["acme"]>;

/** Ends of names that no public authority gives certificates for (RFC 6761, 6762, 8375; ICANN's `.internal`). */
const PRIVATE_ENDS = [
  "local",
  "internal",
  "localhost",
  "test",
  "example",
  "invalid",
  "lan",
  "home.arpa",
  "onion",
];

function checkAcme({ bind, hosts, port, adminPort = port + 1 }: GatewayConfig, acme: Acme): Problem[] {
  const problems: Problem[] = [];
  if (hosts.length === 0)
    problems.push({
      path: "gpubox:gateway.hosts",
      what: "A certificate by ACME is for host names, and there is none.",
      fix: "List the public names of this host, for example [llm.example.com].",
    });
  for (const [index, host] of hosts.entries()) {
    const path = `gpubox:gateway.hosts[${index}]`;
    if (isIP(host))
      problems.push({
        path,
        what: `${host} is an address, and certificates by ACME are for names here.`,
        fix: "Remove it, or use own certificate files.",
      });
    else if (acme.directory === LETS_ENCRYPT && isPrivate(host))
      problems.push({
        path,
        what: `${host} is no public name, so Let's Encrypt gives no certificate for it.`,
        fix: "Remove it, or use own certificate files or another acme.directory.",
      });
  }
  if (bind.startsWith("127.") || bind === "::1")
    problems.push({
      path: "gpubox:gateway.bind",
      what: "The certificate authority has to reach this host, and a loopback address cannot be reached.",
      fix: "Write the address that the host's name leads to, or 0.0.0.0.",
    });
  for (const [taken, key] of [
    [port, "gateway.port"],
    [adminPort, "gateway.adminPort"],
  ] as const)
    if (acme.port === taken)
      problems.push({
        path: `${PATH}.acme.port`,
        what: `Port ${taken} is the ${key}, and the authority asks in plain HTTP on a port of its own.`,
        fix: `Choose another ${key}, for example ${key === "gateway.port" ? 443 : 4001}.`,
      });
  return problems;
}

function isPrivate(host: string): boolean {
  const name = host.toLowerCase();
  return !name.includes(".") || PRIVATE_ENDS.some((end) => name.endsWith(`.${end}`));
}

/** Mistakes in publishing the admin port: it must be on a chosen network, and unencrypted only on purpose. */
export function checkAdmin({ gateway }: StackConfig, sources: CertificateSources): Problem[] {
  const { admin, tls } = gateway;
  if (!admin) return [];
  const path = "gpubox:gateway.admin";
  if (isWildcard(admin.bind) || admin.bind.startsWith("127.") || admin.bind === "::1")
    return [
      {
        path: `${path}.bind`,
        what: `${admin.bind} is no single address besides loopback, where the admin port is anyway.`,
        fix: "Write the address of the network that administrators use, or remove gateway.admin.",
      },
    ];
  if (admin.unencrypted) return [];
  if (!tls)
    return [
      {
        path: `${path}.bind`,
        what: "Without TLS the master key would cross the network in clear.",
        fix: "Set gateway.tls, or write unencrypted: true where the network encrypts by itself, as a tailnet does.",
      },
    ];
  const uncovered = (names: string[]) => admin.hosts.filter((host) => !covers(names, host));
  const names = tls.acme
    ? gateway.hosts.map((host) => host.toLowerCase())
    : tls.certificate && certificateOf(tls.certificate, "", sources).certificate?.names;
  return (names ? uncovered(names) : []).map((host) => ({
    path: `${path}.hosts`,
    what: `The certificate is not for ${host}.`,
    fix: tls.acme ? "Add it to gateway.hosts, if it is a public name." : "Get one that names it too.",
  }));
}

type Source = string | SecretRef;

type Texts = Pick<CertificateSources, "secrets" | "files">;

/** The facts about a source's text; undefined when only `up` can read it. */
function textOf(source: Source, { secrets, files }: Texts): PemFacts | "missing" | undefined {
  if (typeof source === "string") return files[source];
  const fact = secrets[source.secret];
  // requiredSecrets reports a missing secret.
  return !fact || fact.standIn ? undefined : (fact.pem ?? {});
}

function nameOf(source: Source): string {
  return typeof source === "string" ? source : `The secret ${source.secret}`;
}

export function certificateOf(source: Source, path: string, sources: Texts) {
  const text = textOf(source, sources);
  if (text === undefined) return { problems: [] };
  if (text === "missing") return { problems: [missing(source, path)] };
  if (text.certificate) return { certificate: text.certificate, problems: [] };
  const problem: Problem = {
    path,
    what: `${nameOf(source)} ${text.flaw ?? "holds no certificate"}.`,
    fix: "Use the PEM text, from -----BEGIN CERTIFICATE----- on: the server's own first, then its chain.",
  };
  return { problems: [problem] };
}

export function keyOf(source: Source, path: string, sources: Texts) {
  const text = textOf(source, sources);
  if (text === undefined) return { problems: [] };
  if (text === "missing") return { problems: [missing(source, path)] };
  if (text.key && !text.flaw) return { key: text.key, problems: [] };
  const problem: Problem = {
    path,
    what: `${nameOf(source)} ${text.flaw ?? "holds no private key"}.`,
    fix: "Use the key's PEM text, without a passphrase.",
  };
  return { problems: [problem] };
}

function missing(source: Source, path: string): Problem {
  return {
    path,
    what: `There is no file ${source}.`,
    fix: "Correct the path, or have the certificate made first.",
  };
}

function checkValidity({ names, from, until }: CertificateFacts, hosts: string[], now: Date): Problem[] {
  const path = `${PATH}.certificate`;
  const day = (date: string) => date.slice(0, 10);
  const problems: Problem[] = [];
  if (new Date(until) <= now)
    problems.push({ path, what: `The certificate has expired on ${day(until)}.`, fix: "Renew it." });
  if (new Date(from) > now)
    problems.push({
      path,
      what: `The certificate is not valid before ${day(from)}.`,
      fix: "Wait until then, or look at this machine's clock.",
    });
  const uncovered = hosts.filter((host) => !covers(names, host));
  if (uncovered.length > 0)
    problems.push({
      path,
      what: `The certificate is for ${names.join(", ") || "no host"}, not for ${uncovered.join(", ")}.`,
      fix: "Get one for every name in gateway.hosts, or remove the name there.",
    });
  return problems;
}

function checkPair({ key, otherKeys }: CertificateFacts, own: string): Problem[] {
  if (key === own) return [];
  const path = `${PATH}.certificate`;
  if (otherKeys.includes(own))
    return [
      {
        path,
        what: "The server's own certificate is not the first one.",
        fix: "Put it first, then its chain.",
      },
    ];
  return [
    {
      path,
      what: "The certificate and the key do not belong together.",
      fix: "Use the key that the certificate was made for.",
    },
  ];
}
