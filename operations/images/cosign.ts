import { run } from "../../platform/process";
import type { Verification } from "../../platform/stack/imageLock";
import { UnresolvedImage } from "./registry";

const LITELLM = "ghcr.io/berriai/";

/** How LiteLLM signs, newest first: keyless from about v1.108.11 on, with this key from v1.103.9 on. */
const LITELLM_SIGNATURES = [
  [
    "--certificate-identity",
    "https://github.com/BerriAI/project-releaser/.github/workflows/release.yml@refs/heads/main",
    "--certificate-oidc-issuer",
    "https://token.actions.githubusercontent.com",
  ],
  // By commit: whoever takes over the repository could move a tag or a branch.
  [
    "--key",
    "https://raw.githubusercontent.com/BerriAI/litellm/e82a3c646908ba0a6ee0beddc4310d7a6cac4065/cosign.pub",
  ],
];

/**
 * Verifies who signed an image, if its publisher is known to sign and `cosign` is on PATH.
 *
 * @param timeoutMs Milliseconds for each way of verifying. Default: 60000.
 * @throws UnresolvedImage when cosign finds no known valid signature: such an image must not be locked.
 */
export async function verifySignature(
  image: string,
  digest: string,
  timeoutMs = 60_000,
): Promise<Verification> {
  if (!image.startsWith(LITELLM)) return "not checked: the publisher announces no signature";
  let words = "";
  for (const signature of LITELLM_SIGNATURES) {
    const result = await run("cosign", ["verify", ...signature, `${image}@${digest}`], { timeoutMs });
    if (result.code === 0) return "verified";
    if (result.code === 127) return "not checked: cosign is not installed";
    words = result.stderr.trim().split("\n").at(-1) ?? "";
  }
  throw new UnresolvedImage(`cosign finds no valid signature of LiteLLM on ${image}@${digest}: ${words}`);
}
