import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { sshAddress } from "../../configs/schema/address";
import { type CertificateFiles, pemFacts } from "../../configs/secrets/pem";

const named = z.object({
  tls: z.object({ certificate: z.unknown(), key: z.unknown() }).partial().optional(),
});

const elsewhere = z.object({ docker: z.string() });

/**
 * The public facts of the certificate files that a stack's config names. Unknown for a file that only root may read,
 * and for one in a directory that this machine does not have, because it may be on another host.
 *
 * @param gateway that section of the config, as in the file
 * @param host that section too: the files of a host behind SSH are not here
 */
export function readHostFiles(gateway: unknown, host?: unknown): CertificateFiles {
  if (sshAddress(elsewhere.safeParse(host).data?.docker ?? "")) return {};
  const tls = named.safeParse(gateway).data?.tls;
  const files: CertificateFiles = {};
  for (const path of [tls?.certificate, tls?.key]) {
    if (typeof path !== "string" || !path.startsWith("/")) continue;
    try {
      files[path] = pemFacts(readFileSync(path, "utf8"));
    } catch {
      if (!existsSync(path) && existsSync(dirname(path))) files[path] = "missing";
    }
  }
  return files;
}
