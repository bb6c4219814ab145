import type { Problem } from "../kit/problems";
import type { SecretFacts } from "../secrets/facts";
import type { StackConfig } from "../stack/config";
import { certificateOf, keyOf } from "./tls";

const PATH = "gpubox:database.tls";

/** Mistakes in the certificates that gateways show an external Postgres, or check it with. */
export function checkDatabaseTls({ database }: StackConfig, secrets: SecretFacts): Problem[] {
  const { mode, tls } = database;
  if (!tls) return [];
  if (mode !== "external")
    return [
      {
        path: PATH,
        what: `Certificates have no use with mode: ${mode}.`,
        fix: "Remove it, or write mode: external.",
        judgedBy: { paths: ["gpubox:database.mode"] },
      },
    ];
  const { authority, certificate, key } = tls;
  if (!certificate !== !key)
    return [
      {
        path: PATH,
        what: `The client's ${certificate ? "key" : "certificate"} is missing.`,
        fix: "Write certificate and key, or neither.",
      },
    ];
  const sources = { secrets, files: {} };
  const problems = authority ? certificateOf(authority, `${PATH}.authority`, sources).problems : [];
  if (!certificate || !key) return problems;
  const shown = certificateOf(certificate, `${PATH}.certificate`, sources);
  const own = keyOf(key, `${PATH}.key`, sources);
  if (shown.certificate && own.key && shown.certificate.key !== own.key)
    problems.push({
      path: `${PATH}.key`,
      what: "The certificate and the key do not belong together.",
      fix: "Use the key that the certificate was made for.",
    });
  return [...problems, ...shown.problems, ...own.problems];
}
