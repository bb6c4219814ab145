import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseStack } from "../../../configs/parse";
import { secretFacts, standIn } from "../../../configs/secrets/facts";
import { type CertificateFiles, covers, pemFacts } from "../../../configs/secrets/pem";
import { readHostFiles } from "../../../platform/stack/hostCertificates";
import { hasOpenssl, makeAuthority, makeCertificate } from "../../support/certificates";
import { needs } from "../../support/needs";
import { rawStack, testSecrets } from "../../support/stacks";
import { ACME, FILES, PUBLIC, problems, SECRETS, texts } from "../../support/tlsStacks";

const describeTls = needs("openssl");

describe("where the certificate comes from", () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    ["files", { tls: FILES }, []],
    ["ACME for a public name", { ...PUBLIC, tls: { acme: ACME } }, []],
    ["nothing", { tls: {} }, ["gpubox:gateway.tls: It names no certificate."]],
    [
      "a certificate without its key",
      { tls: { certificate: "/x/y.pem" } },
      ["gpubox:gateway.tls: The certificate's key is missing."],
    ],
    [
      "two sources",
      { ...PUBLIC, tls: { ...FILES, acme: ACME } },
      ["gpubox:gateway.tls: It names two sources of certificates, own ones and acme."],
    ],
    [
      "a file and a secret",
      { tls: { certificate: "/x/y.pem", key: SECRETS.key } },
      [
        "gpubox:gateway.tls.key: The secret tlsKey is missing.",
        "gpubox:gateway.tls: The certificate and the key come from different kinds of sources.",
      ],
    ],
    [
      "a file in the host's root directory",
      { tls: { certificate: "/cert.pem", key: "/x/key.pem" } },
      [
        "gpubox:gateway.tls.certificate: /cert.pem lies in the host's root directory, which would be mounted whole.",
      ],
    ],
    [
      "ACME without a name",
      { ...PUBLIC, hosts: [], tls: { acme: ACME } },
      ["gpubox:gateway.hosts: A certificate by ACME is for host names, and there is none."],
    ],
    [
      "ACME for addresses and private names",
      { ...PUBLIC, hosts: ["203.0.113.5", "framework", "box.lan"], tls: { acme: ACME } },
      [
        "gpubox:gateway.hosts[0]: 203.0.113.5 is an address, and certificates by ACME are for names here.",
        "gpubox:gateway.hosts[1]: framework is no public name, so Let's Encrypt gives no certificate for it.",
        "gpubox:gateway.hosts[2]: box.lan is no public name, so Let's Encrypt gives no certificate for it.",
      ],
    ],
    [
      "another authority for a private name",
      {
        ...PUBLIC,
        hosts: ["box.lan"],
        tls: { acme: { ...ACME, directory: "https://ca.lan/acme/directory" } },
      },
      [],
    ],
    [
      "ACME on loopback",
      { ...PUBLIC, bind: "127.0.0.1", tls: { acme: ACME } },
      [
        "gpubox:gateway.bind: The certificate authority has to reach this host, and a loopback address cannot be reached.",
      ],
    ],
    [
      "ACME where the clients' port is the authority's",
      { ...PUBLIC, port: 80, tls: { acme: ACME } },
      [
        "gpubox:gateway.tls.acme.port: Port 80 is the gateway.port, and the authority asks in plain HTTP on a port of its own.",
      ],
    ],
    [
      "ACME where the admin port is the authority's",
      { ...PUBLIC, adminPort: 8080, tls: { acme: { ...ACME, port: 8080 } } },
      [
        "gpubox:gateway.tls.acme.port: Port 8080 is the gateway.adminPort, and the authority asks in plain HTTP on a port of its own.",
      ],
    ],
    [
      "ACME without agreement to the terms",
      { ...PUBLIC, tls: { acme: { agreeToTerms: false } } },
      ["gpubox:gateway.tls.acme.agreeToTerms: false is not valid."],
    ],
    [
      "an authority in clear",
      { ...PUBLIC, tls: { acme: { ...ACME, directory: "http://ca.lan/acme" } } },
      ['gpubox:gateway.tls.acme.directory: "http://ca.lan/acme" is not valid.'],
    ],
  ])("%s", (_, gateway, expected) => {
    expect(texts(problems(gateway))).toEqual(expected);
  });

  test("a model's own port is not the authority's either", () => {
    const raw = rawStack(
      {
        gateway: { ...PUBLIC, tls: { acme: ACME } },
        models: {
          tiny: {
            engine: "llamacpp",
            model: "file:///srv/models/tiny.gguf",
            expose: { port: 80, key: { secret: "exposeKey" } },
          },
        },
      },
      testSecrets,
    );
    expect(() => parseStack(raw)).toThrow(
      "gpubox:models.tiny.expose.port: Port 80 belongs to gpubox:gateway.tls.acme.port.",
    );
  });
});

describeTls("a certificate that is known at preview", () => {
  const authority = hasOpenssl ? makeAuthority() : { certificate: "", key: "" };
  const pair = hasOpenssl
    ? makeCertificate({ names: ["box.example", "*.lan.example", "192.0.2.7"], by: authority })
    : authority;
  const asFiles = (certificate: string, key: string): CertificateFiles => ({
    [FILES.certificate]: pemFacts(certificate),
    [FILES.key]: pemFacts(key),
  });
  const hosts = ["box.example", "a.lan.example", "192.0.2.7"];
  const at = "gpubox:gateway.tls.certificate";
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

  test.each<[string, () => [string, string], Date | undefined, string[], string[]]>([
    ["is taken", () => [pair.certificate, pair.key], undefined, hosts, []],
    [
      "is taken with its chain",
      () => [pair.certificate + authority.certificate, pair.key],
      undefined,
      hosts,
      [],
    ],
    [
      "has to be for every host",
      () => [pair.certificate, pair.key],
      undefined,
      ["other.example", "a.b.lan.example", "lan.example"],
      [
        `${at}: The certificate is for box.example, *.lan.example, 192.0.2.7, not for other.example, a.b.lan.example, lan.example.`,
      ],
    ],
    [
      "has to be valid still",
      () => [pair.certificate, pair.key],
      inDays(31),
      hosts,
      [`${at}: The certificate has expired on ${inDays(30).toISOString().slice(0, 10)}.`],
    ],
    [
      "has to be valid already",
      () => [pair.certificate, pair.key],
      inDays(-2),
      hosts,
      [`${at}: The certificate is not valid before ${new Date().toISOString().slice(0, 10)}.`],
    ],
    [
      "has to belong to the key",
      () => [pair.certificate, authority.key],
      undefined,
      hosts,
      [`${at}: The certificate and the key do not belong together.`],
    ],
    [
      "has to come before its chain",
      () => [authority.certificate + pair.certificate, pair.key],
      undefined,
      [],
      [`${at}: The server's own certificate is not the first one.`],
    ],
    [
      "has to be one",
      () => [pair.key, pair.key],
      undefined,
      [],
      [`${at}: ${FILES.certificate} holds no certificate.`],
    ],
    [
      "needs a key",
      () => [pair.certificate, pair.certificate],
      undefined,
      [],
      [`gpubox:gateway.tls.key: ${FILES.key} holds no private key.`],
    ],
    [
      "needs a key without a passphrase",
      () => [pair.certificate, pair.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE")],
      undefined,
      [],
      [`gpubox:gateway.tls.key: ${FILES.key} is protected by a passphrase.`],
    ],
  ])("%s", (_, texts_, now, names, expected) => {
    const [certificate, key] = texts_();
    expect(texts(problems({ hosts: names, tls: FILES }, { files: asFiles(certificate, key), now }))).toEqual(
      expected,
    );
  });

  test("is read out of secrets in the same way; their lines are no mistake", () => {
    const secrets = { tlsCertificate: pair.certificate, tlsKey: pair.key };
    expect(problems({ hosts, tls: SECRETS }, { secrets })).toEqual([]);
    expect(
      texts(problems({ hosts, tls: SECRETS }, { secrets: { ...secrets, tlsKey: authority.key } })),
    ).toEqual([`${at}: The certificate and the key do not belong together.`]);
    expect(texts(problems({ hosts, tls: SECRETS }, { secrets: { ...secrets, tlsKey: "nonsense" } }))).toEqual(
      ["gpubox:gateway.tls.key: The secret tlsKey holds no private key."],
    );
    // The same text under a name that is no certificate's stays the mistake that it was.
    expect(texts(problems({}, { secrets: { azureApiKey: pair.key } }))).toEqual([
      "gpubox:azureApiKey: The secret holds a line break or another control character.",
    ]);
  });

  test("a secret that is known by its name only is not judged", () => {
    const secrets = { tlsCertificate: standIn("tlsCertificate"), tlsKey: standIn("tlsKey") };
    expect(problems({ hosts, tls: SECRETS }, { secrets })).toEqual([]);
  });

  test("nothing of a key is among the facts", () => {
    const facts = JSON.stringify(secretFacts({ saltKey: "x", tlsKey: pair.key }, () => true));
    const line = pair.key.split("\n")[1]!;
    expect(line.length).toBeGreaterThan(40);
    expect(facts).not.toContain(line.slice(0, 20));
  });

  test("a file counts as missing only if its directory exists", () => {
    const dir = mkdtempSync(join(tmpdir(), "gpubox-pem-"));
    try {
      writeFileSync(join(dir, "c.pem"), pair.certificate);
      const tls = { certificate: join(dir, "c.pem"), key: join(dir, "k.pem") };
      const files = readHostFiles({ tls });
      expect(files).toEqual({ [tls.certificate]: pemFacts(pair.certificate), [tls.key]: "missing" });
      expect(texts(problems({ tls }, { files }))).toEqual([
        `gpubox:gateway.tls.key: There is no file ${tls.key}.`,
      ]);
      expect(readHostFiles({ tls }, { docker: "ssh://ops@gpu1" })).toEqual({});
      expect(readHostFiles({ tls: { certificate: join(dir, "none/c.pem"), key: SECRETS.key } })).toEqual({});
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("gateway.admin needs it for its names, unless it is plain", () => {
    const files = asFiles(pair.certificate, pair.key);
    const admin = { bind: "100.64.0.7", hosts: ["a.lan.example", "admin.example"] };
    expect(texts(problems({ hosts, tls: FILES, admin }, { files }))).toEqual([
      "gpubox:gateway.admin.hosts: The certificate is not for admin.example.",
    ]);
    expect(problems({ hosts, tls: FILES, admin: { ...admin, unencrypted: true } }, { files })).toEqual([]);
  });
});

test("a star covers one label, and no address", () => {
  expect(covers(["*.lan.example"], "A.lan.example")).toBe(true);
  for (const host of ["lan.example", "a.b.lan.example", "alan.example"])
    expect(covers(["*.lan.example"], host)).toBe(false);
  expect(covers(["192.0.2.7"], "192.0.2.7")).toBe(true);
});
