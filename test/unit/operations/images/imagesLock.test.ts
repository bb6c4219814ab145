import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageRoles } from "../../../../configs/kit/imageRoles";
import { verifySignature } from "../../../../operations/images/cosign";
import { updateLock } from "../../../../operations/images/lockImages";
import { UserError } from "../../../../platform/process";
import { packageDir } from "../../../../platform/project";
import { lockEntry, readLock } from "../../../../platform/stack/imageLock";
import { ownImagesOf } from "../../../../platform/stack/ownImages";
import { repositoryResolved } from "../../../../platform/stack/resolved";

const first = `sha256:${"1".repeat(64)}`;
const second = `sha256:${"2".repeat(64)}`;

let projectDir: string;

beforeEach(() => {
  projectDir = mkdtempSync(join(tmpdir(), "gpubox-lock-"));
  mkdirSync(join(projectDir, "images"));
});

afterEach(() => rmSync(projectDir, { recursive: true }));

const write = (name: string, content: unknown) =>
  writeFileSync(
    join(projectDir, "images", name),
    typeof content === "string" ? content : JSON.stringify(content),
  );

const everyRole = <Value>(value: Value) => Object.fromEntries(imageRoles.map((role) => [role, value]));

const entry = (digest: string) => ({
  image: "example.test/a",
  tag: "1",
  digest,
  resolvedAt: "2026-11-21T00:00:00.000Z",
  verified: "not checked: the publisher announces no signature",
});

function whatOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error.what;
  }
  throw new Error("nothing was refused");
}

describe("reading the lock", () => {
  beforeEach(() => write("official.json", everyRole({ image: "example.test/a", tag: "1" })));

  test("the committed lock and official.json are valid", () => {
    for (const role of imageRoles) expect(readLock(packageDir)[role].tag).not.toBe("");
  });

  test("a missing lock counts as not resolved", () => {
    expect(readLock(projectDir).edge).toMatchObject({ digest: null, tag: "1" });
  });

  test("an entry for another tag than official.json's counts as not resolved", () => {
    write("lock.json", { ...everyRole(entry(first)), cache: { ...entry(first), tag: "0" } });
    const lock = readLock(projectDir);
    expect(lock.edge.digest).toBe(first);
    expect(lock.cache).toMatchObject({ digest: null, tag: "1" });
  });

  test("every mistake is named at once with its path", () => {
    write("lock.json", {
      ...everyRole(entry(first)),
      edge: entry("latest"),
      cache: { ...entry(first), comment: "x" },
      database: { ...entry(first), digest: null },
    });
    const what = whatOf(() => readLock(projectDir));
    expect(what).toContain("images/lock.json is not valid");
    expect(what).toContain("edge.digest: is not a digest");
    expect(what).toContain("cache: Unrecognized key");
    expect(what).toContain("database: an entry has either a digest or the reason");
  });

  test("a new role counts as not resolved, and the others keep their digests", () => {
    const { edge: _, ...without } = everyRole(entry(first));
    write("lock.json", without);
    const { edge, cache } = readLock(projectDir);
    expect([edge.digest, cache.digest]).toEqual([null, entry(first).digest]);
  });

  test("an unknown role and a broken file are refused", () => {
    write("lock.json", { ...everyRole(entry(first)), web: entry(first) });
    expect(whatOf(() => readLock(projectDir))).toContain("web");
    write("lock.json", "{");
    expect(whatOf(() => readLock(projectDir))).toContain("images/lock.json is not JSON");
  });

  test("without official.json the message says what is missing", () => {
    rmSync(join(projectDir, "images", "official.json"));
    expect(whatOf(() => readLock(projectDir))).toBe("images/official.json does not exist.");
  });
});

describe("writing the lock", () => {
  let server: Server;
  let digest: string | undefined;
  let image: string;

  beforeEach(async () => {
    server = createServer((_request, response) =>
      response.writeHead(digest ? 200 : 503, digest ? { "docker-content-digest": digest } : {}).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    image = `127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    write("official.json", everyRole({ image, tag: "1" }));
    digest = first;
  });

  afterEach(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });

  const stored = () => JSON.parse(readFileSync(join(projectDir, "images", "lock.json"), "utf8"));

  test("missing digests are resolved, and a second run changes nothing, even when the tag has moved", async () => {
    const changes = await updateLock(projectDir, "missing");
    expect(changes.map(({ old, entry }) => [old, entry.digest])).toEqual(imageRoles.map(() => [null, first]));
    // This registry does not show what lies behind the digest: no size, and a lock all the same.
    expect(changes.map(({ entry }) => entry.bytes)).toEqual(imageRoles.map(() => undefined));
    const before = stored();
    digest = second;
    await updateLock(projectDir, "missing");
    expect(stored()).toEqual(before);
  });

  test("an update reports old and new digests, and keeps the date of unchanged ones", async () => {
    await updateLock(projectDir, "missing");
    const before = stored();
    await updateLock(projectDir, "all");
    expect(stored()).toEqual(before);
    digest = second;
    const [change] = await updateLock(projectDir, "all");
    expect(change).toMatchObject({ old: first, entry: { digest: second } });
    expect(readLock(projectDir).gateway.digest).toBe(second);
  });

  test("an update that cannot resolve keeps the old digest and says why", async () => {
    await updateLock(projectDir, "missing");
    digest = undefined;
    const [change] = await updateLock(projectDir, "all");
    expect(change).toMatchObject({ old: first, failure: expect.stringContaining("HTTP 503") });
    expect(readLock(projectDir).gateway.digest).toBe(first);
  });

  test("the images that models of any stack name themselves are locked beside the roles, and stay", async () => {
    const stack = (name: string, tag: string) =>
      writeFileSync(
        join(projectDir, `Pulumi.${name}.yaml`),
        `config:\n  gpubox:models:\n    m: { engine: vllm, image: { repository: "${image}", tag: ${tag} } }\n    n: { image: latest }\n`,
      );
    stack("one", "v1");
    stack("two", "v2");
    writeFileSync(join(projectDir, "Pulumi.broken.yaml"), "config: [");
    const own = ownImagesOf(projectDir);
    expect(own).toEqual([`${image}:v1`, `${image}:v2`]);
    await updateLock(projectDir, "missing", own);
    expect(stored()[`${image}:v2`]).toMatchObject({ image, tag: "v2", digest: first });
    digest = second;
    await updateLock(projectDir, "missing", [`${image}:v3`]);
    const lock = readLock(projectDir);
    expect(["v1", "v2", "v3"].map((tag) => lockEntry(lock, `${image}:${tag}`).digest)).toEqual([
      ...[first, first, second],
    ]);
    expect(lockEntry(lock, "acme/x:1")).toMatchObject({ digest: null, image: "acme/x", tag: "1" });
    expect(repositoryResolved(projectDir).images[`${image}:v3`]).toEqual({
      ...{ reference: `${image}@${second}`, source: "digest" },
    });
  });

  test("what cannot be resolved is written with its reason", async () => {
    digest = undefined;
    await updateLock(projectDir, "missing");
    expect(stored().edge).toMatchObject({ digest: null, reason: expect.stringContaining("HTTP 503") });
  });
});

describe("LiteLLM's signature", () => {
  const litellm = "ghcr.io/berriai/litellm-non_root";
  const path = process.env.PATH;

  function cosign(script: string) {
    writeFileSync(join(projectDir, "cosign"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(projectDir, "cosign"), 0o755);
    process.env.PATH = `${projectDir}:${path}`;
  }

  afterEach(() => {
    process.env.PATH = path;
  });

  test("it is not checked where cosign is not installed, and the lock says so", async () => {
    process.env.PATH = projectDir;
    await expect(verifySignature(litellm, first)).resolves.toBe("not checked: cosign is not installed");
  });

  test("it is not checked for publishers that announce none", async () => {
    cosign("exit 1");
    await expect(verifySignature("haproxy", first)).resolves.toBe(
      "not checked: the publisher announces no signature",
    );
  });

  test("it is verified for the digest, keyless first and with the key of a pinned commit next", async () => {
    const calls = join(projectDir, "calls");
    cosign(`echo "$@" >> ${calls}; case "$*" in *--key*) exit 0;; esac; exit 1`);
    await expect(verifySignature(litellm, first)).resolves.toBe("verified");
    const [keyless, keyed] = readFileSync(calls, "utf8").trim().split("\n");
    expect(keyless).toContain("--certificate-identity https://github.com/BerriAI/project-releaser/");
    expect(keyed).toMatch(
      new RegExp(`--key https://.*/litellm/[0-9a-f]{40}/cosign.pub ${litellm}@${first}$`),
    );
  });

  test("an image without a valid signature is not resolved", async () => {
    cosign('echo "no signatures found" >&2; exit 10');
    await expect(verifySignature(litellm, first)).rejects.toThrow("no signatures found");
  });
});
