import { createHmac, timingSafeEqual } from "node:crypto";

/** Name of the file beside the manifest: 64 hex digits and the end of the line. */
export const SIGNATURE = "manifest.sig";

/** What stands in the signature's file for a manifest of these bytes. Whoever has the stack's salt key can make it. */
export function signatureOf(manifest: Buffer, signingKey: string): string {
  const code = createHmac("sha256", signingKey).update("gpubox backup manifest\n").update(manifest);
  return `${code.digest("hex")}\n`;
}

/** True where exactly this stands in the signature's file. */
export function isSignedBy(manifest: Buffer, signature: Buffer, signingKey: string): boolean {
  const right = Buffer.from(signatureOf(manifest, signingKey));
  return signature.length === right.length && timingSafeEqual(signature, right);
}
