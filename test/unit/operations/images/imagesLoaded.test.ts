import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildRecipes } from "../../../../operations/images/buildRecipes";
import { resolveImages } from "../../../../operations/images/resolveImages";
import { packageDir } from "../../../../platform/project";

/** A registry where nobody listens. */
const AWAY = "127.0.0.1:9";
const REFERENCE = `${AWAY}/vllm:1`;

let dir: string;
const path = process.env.PATH;

/** A project whose images are at a registry that does not answer, and an engine that has one image by its tag. */
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-loaded-"));
  cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
  const official = JSON.parse(readFileSync(join(dir, "images/official.json"), "utf8"));
  for (const role of Object.keys(official)) official[role] = { image: `${AWAY}/${role}`, tag: "1" };
  writeFileSync(join(dir, "images/official.json"), JSON.stringify(official));
  rmSync(join(dir, "images/lock.json"));
  rmSync(join(dir, "images/gateway"), { recursive: true });
  process.env.PATH = `${dir}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

/** An engine that has these images by their tags, which `docker load` brings, and none by a digest. */
function engineWith(...tags: string[]) {
  const cases = tags.map(
    (tag) => `*" ${tag} "*) echo '[{"Id": "sha256:1", "Size": 1, "Config": {}}]'; exit 0 ;;`,
  );
  const script = `#!/bin/sh
case " $* " in
  *" version "*) echo 28.5.2; exit 0 ;;
  ${cases.join("\n  ")}
esac
echo '[]'; for one; do last=$one; done; echo "Error: No such image: $last" >&2; exit 1
`;
  writeFileSync(join(dir, "docker"), script);
  chmodSync(join(dir, "docker"), 0o755);
}

const lines: string[] = [];
function resolve(role: "vllm" | "grafana") {
  lines.length = 0;
  const needed = [role === "vllm" ? { role, model: "qwen3" } : { role, optional: true }];
  const log = (line: string) => void lines.push(line);
  return resolveImages({ projectDir: dir, docker: "unix:///none", needed, log, mode: "auto" });
}

test("an image that somebody loaded is taken by its tag where nothing is locked, and said", async () => {
  engineWith(REFERENCE);
  expect(await resolve("vllm")).toEqual({ vllm: { reference: REFERENCE, source: "loaded" } });
  expect(lines).toEqual([
    expect.stringMatching(
      /^vllm: taken as it is here, because .* does not answer: .* and no digest is locked$/,
    ),
  ]);
});

test("an optional one too, which the plan then has", async () => {
  engineWith(`${AWAY}/grafana:1`);
  expect(await resolve("grafana")).toEqual({ grafana: { reference: `${AWAY}/grafana:1`, source: "loaded" } });
});

test("without it, the refusal says by which words it is brought", async () => {
  engineWith();
  await expect(resolve("vllm")).rejects.toThrow(
    `bring the image with \`docker save ${REFERENCE}\` there and`,
  );
});

test("a locked digest is never passed over: the refusal says how to take what was loaded", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const entry = {
    image: `${AWAY}/vllm`,
    tag: "1",
    digest,
    resolvedAt: "2026-11-21T00:00:00.000Z",
    verified: "verified",
  };
  writeFileSync(join(dir, "images/lock.json"), JSON.stringify({ vllm: entry }));
  engineWith(REFERENCE);
  await expect(resolve("vllm")).rejects.toThrow(
    /brought as 127\.0\.0\.1:9\/vllm:1 is taken once vllm has `"digest": null`/,
  );
});

test("an image that was carried here is the one of the locked digest, and nobody is asked for it", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const entry = { image: `${AWAY}/vllm`, tag: "1", digest, resolvedAt: null };
  const lock = { vllm: { ...entry, verified: "not checked: cosign is not installed" } };
  writeFileSync(join(dir, "images/lock.json"), JSON.stringify(lock));
  const reference = `gpubox/locked:${"0".repeat(64)}`;
  engineWith(reference);
  expect(await resolve("vllm")).toEqual({ vllm: { reference, source: "carried" } });
  expect(lines).toEqual([]);
});

test("an image that has no build for the host's processor is refused before anybody is asked for it", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const entry = { image: `${AWAY}/vllm`, tag: "1", digest, resolvedAt: null, bytes: { amd64: 1 } };
  const lock = { vllm: { ...entry, verified: "not checked: cosign is not installed" } };
  writeFileSync(join(dir, "images/lock.json"), JSON.stringify(lock));
  engineWith();
  const options = { projectDir: dir, docker: "unix:///none", log: () => {}, mode: "auto" } as const;
  const needed = [{ role: "vllm", model: "qwen3" } as const];
  await expect(resolveImages({ ...options, needed, arch: "arm64" })).rejects.toThrow(
    `The image vllm (${AWAY}/vllm:1), which the model qwen3 needs, has no build for arm64. Lock another tag that has one, or remove the model.`,
  );
  await expect(resolveImages({ ...options, needed, arch: "amd64" })).rejects.toThrow("does not answer");
});

test("a recipe that is bound to x86-64 is not begun on another engine", async () => {
  const script = '#!/bin/sh\ncase "$*" in *" version "*) echo arm64 ;; *) echo "[]"; exit 1 ;; esac\n';
  writeFileSync(join(dir, "docker"), script, { mode: 0o755 });
  await expect(
    buildRecipes(["vllm-cpu"], { projectDir: dir, docker: "unix:///none", log: () => {} }),
  ).rejects.toThrow(
    "The recipe of vllm-cpu has packages for x86-64 alone, and the Docker engine runs on arm64.",
  );
});
