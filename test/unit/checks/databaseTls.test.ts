import type { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { makeAuthority, makeCertificate } from "../../support/certificates";
import { needs } from "../../support/needs";
import { rawStack, testPlan, testSecrets } from "../../support/stacks";

const place = (name: string) => ({ secret: name });
const TLS = { authority: place("dbRoot"), certificate: place("dbCertificate"), key: place("dbKey") };

needs("openssl")("certificates of an external Postgres", () => {
  const root = makeAuthority();
  const own = makeCertificate({ names: ["owner"], by: root });
  const secrets: Record<string, string> = {
    databaseUrl: "postgresql://owner@db.example:5432/keys",
    ...{ dbRoot: root.certificate, dbCertificate: own.certificate, dbKey: own.key },
  };
  const stack = (tls: Record<string, unknown>) => ({
    database: { mode: "external", url: place("databaseUrl"), tls },
  });

  function refusals(config: Record<string, unknown>, others: Record<string, string> = {}): string[] {
    const named = Object.keys(secrets).filter((name) => JSON.stringify(config).includes(`"${name}"`));
    const known = Object.fromEntries(named.map((name) => [name, others[name] ?? secrets[name]!]));
    try {
      parseStack(rawStack(config, { ...testSecrets, ...known }));
      return [];
    } catch (error) {
      return (error as ConfigError).problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
    }
  }

  test("become files of the generation", () => {
    const { files } = testPlan(stack(TLS), { ...testSecrets, ...secrets }).gateway.directory;
    const names = Object.keys(files).filter((name) => name.endsWith(".pem"));
    expect(Object.fromEntries(names.map((name) => [name, files[name]]))).toEqual({
      "database-authority.pem": { text: [{ secret: "dbRoot", as: "raw" }], mode: "0640" },
      "database-certificate.pem": { text: [{ secret: "dbCertificate", as: "raw" }], mode: "0640" },
      "database-key.pem": { text: [{ secret: "dbKey", as: "raw" }], mode: "0640" },
    });
  });

  test.each<[string, Record<string, unknown>, Record<string, string>, string[]]>([
    ["all three", stack(TLS), {}, []],
    ["the authority alone", stack({ authority: TLS.authority }), {}, []],
    [
      "a certificate without its key",
      stack({ certificate: TLS.certificate }),
      {},
      ["gpubox:database.tls: The client's key is missing. Write certificate and key, or neither."],
    ],
    [
      "a key without its certificate",
      stack({ key: TLS.key }),
      {},
      ["gpubox:database.tls: The client's certificate is missing. Write certificate and key, or neither."],
    ],
    [
      "the key of another certificate",
      stack(TLS),
      { dbKey: root.key },
      [
        "gpubox:database.tls.key: The certificate and the key do not belong together. Use the key that the certificate was made for.",
      ],
    ],
    [
      "a key in the authority's place",
      stack({ authority: TLS.key }),
      {},
      [
        "gpubox:database.tls.authority: The secret dbKey holds no certificate. Use the PEM text, from -----BEGIN CERTIFICATE----- on: the server's own first, then its chain.",
      ],
    ],
    [
      "a database of the box's own",
      { database: { tls: { authority: TLS.authority } } },
      {},
      [
        "gpubox:database.tls: Certificates have no use with mode: bundled. Remove it, or write mode: external.",
      ],
    ],
  ])("%s", (_, config, others, expected) => {
    expect(refusals(config, others)).toEqual(expected);
  });

  test("a secret that is missing is named", () => {
    expect(refusals(stack({ authority: place("nobody") }))).toEqual([
      "gpubox:database.tls.authority: The secret nobody is missing. Set it: pulumi config set --secret gpubox:nobody.",
    ]);
  });
});
