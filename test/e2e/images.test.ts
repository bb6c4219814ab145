import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imageRoles } from "../../configs/kit/imageRoles";
import { updateLock } from "../../operations/images/lockImages";
import { registryFailure } from "../../operations/images/registry";
import { resolveImages } from "../../operations/images/resolveImages";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { readLock } from "../../platform/stack/imageLock";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { programOf } from "../support/project";
import { until } from "../support/wait";

const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
const works = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const describeWithEngine = needs("root", "docker");

const MINUTES = 60_000;

const eventually = <Value>(what: () => Promise<Value | undefined>, seconds: number) =>
  until(`${what}`, what, { seconds, everyMs: 200 });

/** The images of a box without GPUs. */
const OWN = ["gateway", "edge", "cache", "database", "llamacpp"] as const;

describeWithEngine("images from a real registry", () => {
  let dir: string;
  let host: string;
  let registry: ChildProcess;
  const lines: string[] = [];
  const digests: string[] = [];

  const image = (role: string) => `${host}/gpubox-e2e/${role}`;
  const resolved = () => {
    lines.length = 0;
    const needed = OWN.map((role) => ({ role }));
    return resolveImages({ projectDir: dir, docker, needed, log: (line) => lines.push(line), mode: "auto" });
  };
  const isLocal = (reference: string) => works("docker", "image", "inspect", reference);

  /** Makes a tiny image of this content, pushes it as tag 1 of every role, and drops every local copy. */
  async function publish(content: string) {
    const root = mkdtempSync(join(dir, "root-"));
    writeFileSync(join(root, "content"), content);
    await output("tar", ["-C", root, "-cf", join(dir, "tiny.tar"), "."]);
    const id = await output("docker", ["import", join(dir, "tiny.tar")]);
    for (const role of imageRoles) {
      await output("docker", ["tag", id, `${image(role)}:1`]);
      await output("docker", ["push", `${image(role)}:1`]);
    }
    const pushed = await output("docker", ["inspect", "-f", "{{index .RepoDigests 0}}", id]);
    digests.push(pushed.split("@")[1] ?? "");
    await dropLocal();
  }

  /** Removes what a pull leaves behind: the image by its digests, the tags with it. */
  async function dropLocal() {
    const format = ["--format", "{{.ID}}", "--filter", `reference=${host}/gpubox-e2e/*`];
    const ids = new Set((await output("docker", ["image", "ls", "--all", ...format])).split("\n"));
    for (const id of ids) if (id) await run("docker", ["image", "rm", "--force", id]);
  }

  beforeAll(async () => {
    if (!works("docker-registry", "--version")) {
      await run("apt-get", ["update"]);
      await output("apt-get", ["install", "-y", "--no-install-recommends", "docker-registry"], {
        env: { DEBIAN_FRONTEND: "noninteractive" },
      });
    }
    dir = scratch("registry");
    writeFileSync(join(dir, "Pulumi.yaml"), "name: gpubox\n");
    host = `127.0.0.1:${allocate("registry").port}`;
    const config = {
      version: "0.1",
      storage: { filesystem: { rootdirectory: join(dir, "storage") } },
      http: { addr: host },
    };
    writeFileSync(join(dir, "registry.yml"), JSON.stringify(config));
    registry = spawn("docker-registry", ["serve", join(dir, "registry.yml")], { stdio: "ignore" });
    await eventually(async () => ((await registryFailure(image("edge"))) ? undefined : true), 20);
    cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
    rmSync(join(dir, "images", "lock.json"));
    const official = Object.fromEntries(imageRoles.map((role) => [role, { image: image(role), tag: "1" }]));
    writeFileSync(join(dir, "images", "official.json"), JSON.stringify(official));
    await publish("first");
  }, 5 * MINUTES);

  afterAll(async () => {
    registry?.kill();
    if (host) await dropLocal();
    if (dir) rmSync(dir, { recursive: true });
  });

  test("locking resolves every tag to the digest that the push made", async () => {
    await updateLock(dir, "missing");
    for (const role of imageRoles) expect(readLock(dir)[role].digest).toBe(digests[0]);
  });

  test(
    "an image that is not there is pulled by its locked digest, with a line that says so",
    async () => {
      expect(isLocal(`${image("edge")}@${digests[0]}`)).toBe(false);
      const images = await resolved();
      for (const role of OWN) {
        expect(images[role]).toEqual({ reference: `${image(role)}@${digests[0]}`, source: "digest" });
        expect(isLocal(images[role]!.reference)).toBe(true);
        expect(lines).toContainEqual(expect.stringContaining(`${role}: pulling ${image(role)}:1`));
      }
    },
    2 * MINUTES,
  );

  test("a present image is used without contacting any registry", async () => {
    const images = await resolved();
    expect(images.edge?.source).toBe("digest");
    expect(lines).toEqual([]);
  });

  test(
    "a tag that moved on the registry changes nothing: the locked digest is pulled again",
    async () => {
      await publish("second");
      expect(digests[1]).not.toBe(digests[0]);
      expect((await resolved()).edge?.reference).toBe(`${image("edge")}@${digests[0]}`);
      expect(readLock(dir).edge.digest).toBe(digests[0]);
    },
    2 * MINUTES,
  );

  test("`images update` prints old and new digest and writes the new one", async () => {
    const printed = await output(
      process.execPath,
      programOf({ dir: packageDir }, ["--project", dir, "images", "update"]),
    );
    expect(printed).toMatch(new RegExp(`^edge .*${digests[0]} -> ${digests[1]}`, "m"));
    expect(readLock(dir).edge.digest).toBe(digests[1]);
  });

  test(
    "a lock without digests is resolved where the registry answers, for a person to review",
    async () => {
      rmSync(join(dir, "images", "lock.json"));
      await dropLocal();
      const images = await resolved();
      expect(images.cache?.reference).toBe(`${image("cache")}@${digests[1]}`);
      expect(lines).toContain("images/lock.json has new digests: review and commit it");
      expect(readLock(dir).cache.digest).toBe(digests[1]);
      expect(readLock(dir).cache.bytes).toEqual({ amd64: expect.any(Number), arm64: expect.any(Number) });
    },
    2 * MINUTES,
  );

  test("a tag that an answering registry does not have is an error and not a reason to build", async () => {
    const path = join(dir, "images", "official.json");
    const official = readFileSync(path, "utf8");
    writeFileSync(path, official.replace(/"tag":"1"/, '"tag":"9"'));
    await expect(resolved()).rejects.toThrow(`has no gpubox-e2e/gateway:9`);
    writeFileSync(path, official);
  });

  test("where no registry answers, an image without a recipe is refused with its model and a way out", async () => {
    registry.kill();
    await new Promise((resolve) => registry.once("exit", resolve));
    await dropLocal();
    const needed = [{ role: "vllm" as const, model: "qwen3" }];
    await expect(
      resolveImages({ projectDir: dir, docker, needed, log: () => {}, mode: "auto" }),
    ).rejects.toThrow(
      /^The image vllm, which the model qwen3 needs, is not on this machine: .* does not answer: ECONNREFUSED, and there is no recipe for it\./,
    );
  });

  test(
    "where no registry answers, the recipes are built, and a line says for which roles and why",
    async () => {
      const images = await resolved();
      for (const role of OWN)
        expect(images[role]).toEqual({
          reference: recipeReference(packageDir, role),
          source: "recipe",
        });
      expect(lines[0]).toMatch(/does not answer: ECONNREFUSED; built from images\/ instead: gateway, edge/);
    },
    20 * MINUTES,
  );
});
