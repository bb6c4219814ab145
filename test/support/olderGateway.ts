import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * LiteLLM of some months ago, with what it demands in exactly one version. Its other demands are met by what the pinned one
 * has. Each with the hashes of its wheels for Linux on x86-64 and ARM.
 */
const OLDER: Record<string, { version: string; hashes: string[] }> = {
  litellm: {
    version: "1.103.0",
    hashes: [
      "bc44607abc41d2b34111899860a0c7e593dfbec154b1f264539150c337bd8bf9",
      "8ca94bfc2be98e3115c18d7755dcd15a0ddd56e8969f03aa823c9064d165c8a9",
    ],
  },
  "litellm-proxy-extras": {
    version: "0.4.100",
    hashes: ["c7786d0e2f9c28a350b192d480a4a76feb9ebca915920b77dda32065fbf4a62b"],
  },
  "litellm-enterprise": {
    version: "0.1.69",
    hashes: ["59c93b75dcdaf51f1d8091b8a4681f1480fc6e338b2305d1adb9d55c826cf712"],
  },
};

/** The version that {@link olderRequirements} has. */
export const OLDER_LITELLM = OLDER.litellm!.version;

/** The requirements of the gateway's recipe with the older LiteLLM. */
export function olderRequirements(pinned: string): string {
  return Object.entries(OLDER).reduce((text, [name, { version, hashes }]) => {
    const block = new RegExp(`^${name}==.*\\n( {4}--hash=.*\\n)+`, "m");
    if (!block.test(text)) throw new Error(`${name} is not among the gateway's requirements`);
    const lines = [`${name}==${version}`, ...hashes.map((hash) => `    --hash=sha256:${hash}`)];
    return text.replace(block, `${lines.join(" \\\n")}\n`);
  }, pinned);
}

/** Makes the gateway's recipe in a project's folder that of the older LiteLLM. Returns what undoes it. */
export function placeOlderGateway(dir: string): () => void {
  const path = join(dir, "images/gateway/requirements.txt");
  const pinned = readFileSync(path, "utf8");
  writeFileSync(path, olderRequirements(pinned));
  return () => writeFileSync(path, pinned);
}
