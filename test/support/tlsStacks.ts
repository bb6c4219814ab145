import type { ConfigError, Problem } from "../../configs/kit/problems";
import { parseStack } from "../../configs/parse";
import type { CertificateFiles } from "../../configs/secrets/pem";
import { rawStack, testSecrets } from "./stacks";

export const FILES = {
  certificate: "/etc/letsencrypt/live/box/fullchain.pem",
  key: "/etc/letsencrypt/live/box/privkey.pem",
};
export const SECRETS = { certificate: { secret: "tlsCertificate" }, key: { secret: "tlsKey" } };
export const ACME = { agreeToTerms: true };
export const PUBLIC = { bind: "203.0.113.5", port: 443, adminPort: 4001, hosts: ["llm.example.com"] };

/** What a stack with this `gateway` is refused for. */
export function problems(
  gateway: Record<string, unknown>,
  {
    secrets = {},
    files = {},
    now,
  }: { secrets?: Record<string, string>; files?: CertificateFiles; now?: Date } = {},
): Problem[] {
  const raw = rawStack({ gateway }, { ...testSecrets, ...secrets });
  try {
    parseStack({ ...raw, hostFiles: files, now });
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
}

export const texts = (found: Problem[]) => found.map(({ path, what }) => `${path}: ${what}`);
