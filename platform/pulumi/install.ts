import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { run } from "../process";
import { packageDir } from "../project";
import { readJsonFile } from "../userFiles";

/** The version to install, and the reviewed SHA-256 checksums of its archives by platform. */
const lock = z.object({
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  sha256: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
});

const LOCK_FILE = "pulumi.lock.json";

export type PulumiLock = z.infer<typeof lock>;

export function readPulumiLock(): PulumiLock {
  return readJsonFile(join(packageDir, LOCK_FILE), lock, { fix: "Restore it from git." });
}

/** Where to download Pulumi. Different servers have the two, so an attacker would have to change both. */
export interface PulumiSources {
  /** URL of the folder with the archives. */
  archives: string;
  /** URL of the folder with a release's list of checksums. */
  checksums: string;
}

const OFFICIAL: PulumiSources = {
  archives: "https://get.pulumi.com/releases/sdk",
  checksums: "https://github.com/pulumi/pulumi/releases/download",
};

/** Seconds for a list of checksums, and for an archive of about 100 MB. */
const [LIST_SECONDS, ARCHIVE_SECONDS] = [20, 600];

/**
 * Installs the pinned version into `root/bin` after checking its archive. The checksum comes from `pulumi.lock.json`,
 * or from the release's own list. Nothing of the archive runs before that.
 *
 * @param root its content is replaced
 * @returns one sentence of why it failed; undefined on success
 */
export async function installPulumi(
  root: string,
  known: PulumiLock = readPulumiLock(),
  sources: PulumiSources = OFFICIAL,
): Promise<string | undefined> {
  const platform = platformOf();
  if (!platform) return `there is no Pulumi for ${process.platform} on ${process.arch}`;
  mkdirSync(dirname(root), { recursive: true });
  const scratch = mkdtempSync(`${root}-`);
  try {
    const name = `pulumi-v${known.version}-${platform}.tar.gz`;
    const expected = known.sha256[platform] ?? (await listed(known.version, name, sources));
    if (typeof expected === "object") return expected.reason;
    const archive = join(scratch, name);
    const fetched = await fetchTo(archive, `${sources.archives}/${name}`, ARCHIVE_SECONDS);
    if (fetched) return fetched;
    const found = await sha256(archive);
    if (found !== expected)
      return `${name} is not the released file: its SHA-256 is ${found} instead of ${expected}`;
    return await unpack(archive, scratch, root);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function platformOf(): string | undefined {
  const system = { linux: "linux", darwin: "darwin" }[process.platform as string];
  const machine = { x64: "x64", arm64: "arm64" }[process.arch as string];
  return system && machine && `${system}-${machine}`;
}

async function listed(
  version: string,
  name: string,
  { checksums }: PulumiSources,
): Promise<string | { reason: string }> {
  const url = `${checksums}/v${version}/pulumi-${version}-checksums.txt`;
  const answer = await run("curl", [...curlOptions(url, LIST_SECONDS), url]);
  if (answer.code !== 0) return { reason: failure(url, answer) };
  const lines = answer.stdout.split("\n").map((line) => /^([0-9a-f]{64}) [ *](\S+)$/.exec(line.trim()));
  const sum = lines.find((found) => found?.[2] === name)?.[1];
  return sum ?? { reason: `${url} has no checksum of ${name}, and ${LOCK_FILE} has none` };
}

async function fetchTo(path: string, url: string, timeoutSeconds: number): Promise<string | undefined> {
  const answer = await run("curl", [...curlOptions(url, timeoutSeconds), "--output", path, url]);
  return answer.code === 0 ? undefined : failure(url, answer);
}

/** curl instead of fetch, because curl knows the machine's proxy and certificates. */
function curlOptions(url: string, timeoutSeconds: number): string[] {
  const encrypted = url.startsWith("https:") ? ["--proto", "=https", "--proto-redir", "=https"] : [];
  return ["-fsSL", "--max-time", String(timeoutSeconds), "--connect-timeout", "10", ...encrypted];
}

function failure(url: string, { code, stderr }: { code: number; stderr: string }): string {
  if (code === 127) return "curl is not installed (`apt-get install -y curl`)";
  return `${url} cannot be fetched: ${stderr.trim().split("\n").at(-1) || `curl exited with ${code}`}`;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

async function unpack(archive: string, scratch: string, root: string): Promise<string | undefined> {
  const bin = join(scratch, "root", "bin");
  mkdirSync(bin, { recursive: true });
  const args = ["-xzf", archive, "-C", bin, "--strip-components=1", "--no-same-owner"];
  const { code, stderr } = await run("tar", args);
  if (code !== 0) return `it cannot be unpacked: ${stderr.trim().split("\n").at(-1) || `exit code ${code}`}`;
  rmSync(root, { recursive: true, force: true });
  renameSync(join(scratch, "root"), root);
  return undefined;
}
