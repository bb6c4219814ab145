import { createHmac, timingSafeEqual } from "node:crypto";

/** Name of the file next to the manifest: 64 hex digits and a line feed. */
export const SIGNATURE = "manifest.sig";

/** The signature file's content for a manifest of these bytes. Whoever has the stack's salt key can compute it. */
export function signatureOf(manifest: Buffer, signingKey: string): string {
  const code = createHmac("sha256", signingKey).update("gpubox backup manifest\n").update(manifest);
  return `${code.digest("hex")}\n`;
}

/** True when the signature file contains exactly this. */
export function isSignedBy(manifest: Buffer, signature: Buffer, signingKey: string): boolean {
  const right = Buffer.from(signatureOf(manifest, signingKey));
  return signature.length === right.length && timingSafeEqual(signature, right);
}
