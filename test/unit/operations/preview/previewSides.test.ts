import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { deployedBox } from "../../../../configs/plan/changeNotices";
import { previewStack } from "../../../../operations/preview/preview";
import { previewMarkdown, previewText } from "../../../../operations/preview/render";
import type { Preview } from "../../../../operations/preview/types";
import { packageDir } from "../../../../platform/project";
import { planStack } from "../../../../platform/stack/planStack";
import { expectedResolved } from "../../../../platform/stack/resolved";
import { beginUp, endUp } from "../../../../platform/stack/unfinished";

const SALT = "v1:salt";
const far = { engine: "openai", baseUrl: "http://far/v1" };
const secrets = Object.fromEntries(
  ["masterKey", "saltKey", "cachePassword", "databasePassword"].map((name) => [
    `gpubox:${name}`,
    { secure: `v1:${name}` },
  ]),
);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-sides-"));
  symlinkSync(join(packageDir, "assets"), join(dir, "assets"));
  cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

function stackText(config: Record<string, unknown>, salt = SALT): string {
  return stringify({ encryptionsalt: salt, config: { ...secrets, ...config } });
}

function write(config: Record<string, unknown>, salt = SALT): void {
  writeFileSync(join(dir, "Pulumi.x.yaml"), stackText(config, salt));
}

/** What a successful `up` leaves. */
function record(config: Record<string, unknown>, resolved?: object): void {
  const folder = join(dir, ".gpubox/history/x/0123456789ab");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "stack.yaml"), stackText(config));
  if (resolved) writeFileSync(join(folder, "resolved.json"), JSON.stringify(resolved));
}

const named = ({ containers }: Preview) => containers.map(({ container }) => container);
const models = { "gpubox:models": { far } };

describe("a preview on a laptop", () => {
  test("compares with the record of the last `up`", async () => {
    record(models);
    write({ "gpubox:models": { far: { ...far, aliases: ["away"] } } });
    const preview = await previewStack(dir, "x");
    expect(preview.base).toMatch(/^generation 0123456789ab, which `up` recorded here at /);
    expect(preview.models.map(({ model, change }) => [model, change])).toEqual([["far", "changed"]]);
    expect(named(preview)).toEqual(["gateway"]);
  });

  test("compares with nothing where there is no record, and says so", async () => {
    write(models);
    const { base, notes, containers } = await previewStack(dir, "x");
    expect([base, notes[0]]).toEqual([
      "nothing",
      expect.stringMatching(/^No `up` from this folder is recorded/),
    ]);
    expect(containers.every(({ action }) => action === "created")).toBe(true);
  });

  test("says what a box loses on a cluster when that is new, and not at each preview", async () => {
    const lab = (kubernetes: object = {}) => ({
      ...models,
      "gpubox:target": "kubernetes",
      "gpubox:kubernetes": { context: "lab", ...kubernetes },
    });
    const told = async () => {
      const { notes } = await previewStack(dir, "x");
      return notes.filter((note) => note.startsWith("On a cluster: "));
    };
    write(lab());
    expect((await told()).length).toBeGreaterThan(2);
    record(lab());
    expect(await told()).toEqual([]);
    write(lab({ service: { type: "LoadBalancer" } }));
    expect(await told()).toEqual([expect.stringContaining("send their keys in plain text")]);
  });

  test("does not say that nothing would change after an `up` that did not finish", async () => {
    record(models);
    write(models);
    const said = async () => {
      const preview = await previewStack(dir, "x");
      return [previewText(preview).split("\n")[2], previewMarkdown(preview).split("\n")[4], preview.notes[0]];
    };
    const finished = await said();
    expect(finished.slice(0, 2)).toEqual(Array(2).fill("`gpubox up` would change nothing."));
    beginUp(dir, "x");
    const words = "Nothing differs from what is recorded, but the last `up` did not finish.";
    expect(await said()).toEqual([
      words,
      `**${words}**`,
      expect.stringMatching(
        /^The `up` that began here at \d{4}-.*Z did not finish: what runs may differ from what is recorded, /,
      ),
    ]);
    write({ "gpubox:models": { far: { ...far, aliases: ["away"] } } });
    expect((await said())[0]).toMatch(/^models: 1 changed; .*; the last `up` did not finish$/);
    // Of another stack it says nothing.
    endUp(dir, "y");
    expect((await previewStack(dir, "x")).unfinished).toBe(true);
    write(models);
    endUp(dir, "x");
    expect(await said()).toEqual(finished);
  });

  test("recognises a secret that is set again by its encrypted text, without decrypting it", async () => {
    record(models);
    write({ ...models, "gpubox:cachePassword": { secure: "v1:another" } });
    const { secrets: changed } = await previewStack(dir, "x");
    expect(changed).toEqual([
      { name: "cachePassword", change: "set anew", containers: ["cache", "gateway"] },
    ]);
  });

  test("says when another passphrase makes all secrets look new", async () => {
    record(models);
    write(models, "v1:other");
    expect((await previewStack(dir, "x")).notes).toContain(
      "The stack has another passphrase, so every secret counts as set anew.",
    );
  });

  test("says which secrets are missing and which waiver is useless", async () => {
    write({
      "gpubox:models": { far: { ...far, apiKey: { secret: "farKey" } } },
      "gpubox:policy": { waive: { "no-root": "because of the old image" } },
    });
    const { notes } = await previewStack(dir, "x");
    expect(notes).toEqual(
      expect.arrayContaining([
        "Not set in the stack's file, but `up` needs them: gpubox:farKey.",
        "gpubox:policy.waive.no-root waives nothing any more: remove it.",
      ]),
    );
  });
});

describe("a gateway stack over another box", () => {
  const boxes = { "gpubox:boxes": { gpu2: { key: { secret: "gpu2Key" } } } };
  const other = (models: Record<string, unknown>) =>
    stringify({ config: { "gpubox:gateway": { bind: "10.0.0.2" }, "gpubox:models": models } });
  const write2 = (models: Record<string, unknown>) =>
    writeFileSync(join(dir, "Pulumi.gpu2.yaml"), other(models));
  const seen = ({ models, containers }: Preview) => [
    models.map(({ model, change }) => `${model} ${change}`),
    containers.map(({ container, action }) => `${container} ${action}`),
  ];

  test("changes with that box's file, compared with the last `up`", async () => {
    record(boxes);
    writeFileSync(join(dir, ".gpubox/history/x/0123456789ab/Pulumi.gpu2.yaml"), other({ far, old: far }));
    write(boxes);
    write2({ far: { ...far, timeoutSeconds: 60 }, young: far });
    const preview = await previewStack(dir, "x");
    expect(seen(preview)).toEqual([["far changed", "old removed", "young added"], ["gateway replaced"]]);
    expect(preview.models[0]?.fields).toEqual([
      { path: "gpubox:models.far.timeoutSeconds", before: "630", after: "90" },
    ]);
    expect(preview.settings).toEqual([]);
  });

  test("changes with that box's file, compared with the merge base", async () => {
    const git = (...args: string[]) =>
      spawnSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: dir });
    git("init", "--quiet", "--initial-branch", "main");
    write(boxes);
    write2({ far });
    git("add", "images", "Pulumi.x.yaml", "Pulumi.gpu2.yaml");
    git("commit", "--quiet", "-m", "x");
    write2({ far, young: far });
    expect(seen(await previewStack(dir, "x", "main"))).toEqual([["young added"], ["gateway replaced"]]);
  });

  test("needs the key of that box", async () => {
    write(boxes);
    write2({ far });
    const { notes } = await previewStack(dir, "x");
    expect(notes).toContain("Not set in the stack's file, but `up` needs them: gpubox:gpu2Key.");
  });
});

describe("with readable secrets, hashes of what was deployed decide", () => {
  const real = Object.fromEntries(
    ["masterKey", "saltKey", "cachePassword", "databasePassword"].map((name) => [
      name,
      `sk-PLANTED-${name}-012`,
    ]),
  );
  const plain = (config: Record<string, unknown>) => stringify({ config });

  /** A box that Compose or an engine brought up, with its secrets in a file. */
  function bringUp(config: Record<string, unknown>, forget?: string): void {
    record(config);
    writeFileSync(join(dir, ".gpubox/history/x/0123456789ab/stack.yaml"), plain(config));
    writeFileSync(join(dir, "Pulumi.x.yaml"), plain(config));
    writeFileSync(join(dir, ".gpubox/secrets.x.json"), JSON.stringify(real));
    const deployed = deployedBox(planStack(dir, "x", real, expectedResolved(dir, "x")));
    if (forget) deployed.containers[forget] = "another";
    writeFileSync(join(dir, ".gpubox/deployed.x.json"), JSON.stringify(deployed));
  }

  test("so that a container changes although the config does not", async () => {
    bringUp(models);
    expect(named(await previewStack(dir, "x"))).toEqual([]);
    bringUp(models, "cache");
    const { containers, gaps } = await previewStack(dir, "x");
    expect(containers).toMatchObject([
      { container: "cache", action: "replaced", reasons: [{ input: "gpubox" }] },
    ]);
    expect(gaps.map(({ container }) => container)).toEqual(["cache"]);
  });

  test("and a password that `up` will make does not prevent a preview", async () => {
    bringUp(models);
    writeFileSync(
      join(dir, "Pulumi.x.yaml"),
      plain({ ...models, "gpubox:observability": { mode: "bundled" } }),
    );
    const { containers } = await previewStack(dir, "x");
    expect(containers.map(({ container, action }) => `${container} ${action}`)).toContain(
      "prometheus created",
    );
  });
});

describe("the images that the next `up` would take", () => {
  test("come from the same source as before, by the present recipes", () => {
    write(models);
    mkdirSync(join(dir, ".gpubox"), { recursive: true });
    const old = { reference: "gpubox/edge:000000000000", source: "recipe" };
    const locked = { reference: "ghcr.io/x@sha256:1", source: "digest" };
    const resolved = { images: { edge: old, vllm: locked }, offlineModels: ["a"], knownModels: ["a"] };
    writeFileSync(join(dir, ".gpubox/resolved.x.json"), JSON.stringify(resolved));
    const { images, offlineModels } = expectedResolved(dir, "x");
    expect(images.edge?.reference).toMatch(/^gpubox\/edge:[0-9a-f]{12}$/);
    expect(images.edge?.reference).not.toBe(old.reference);
    // No recipe and no digest in the lock: what this machine has stays.
    expect(images.vllm).toEqual(locked);
    expect(offlineModels).toEqual(["a"]);
  });

  test("show a recipe that has changed, on every container that runs it", async () => {
    const images = { edge: { reference: "gpubox/edge:000000000000", source: "recipe" } };
    record(models, { images, offlineModels: [], knownModels: [] });
    write(models);
    const preview = await previewStack(dir, "x");
    expect(named(preview)).toEqual(["edge"]);
    expect(preview.downloads.map(({ remark }) => remark)).toEqual(["built on the host from images/edge"]);
  });
});

describe("a preview against a git ref", () => {
  const git = (...args: string[]) =>
    spawnSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: dir });
  const commit = () => {
    git("add", "images", ...(existsSync(join(dir, "Pulumi.x.yaml")) ? ["Pulumi.x.yaml"] : []));
    git("commit", "--quiet", "--allow-empty", "-m", "x");
  };

  test("compares with the file at the merge base, whatever this machine recorded", async () => {
    git("init", "--quiet", "--initial-branch", "main");
    write(models);
    commit();
    record({ "gpubox:models": {} });
    write({ "gpubox:models": { far, near: far } });
    const preview = await previewStack(dir, "x", "main");
    expect(preview.models.map(({ model, change }) => [model, change])).toEqual([["near", "added"]]);
  });

  test("plans a base that lacks an image of this gpubox, or has an unknown one", async () => {
    git("init", "--quiet", "--initial-branch", "main");
    write(models);
    const path = join(dir, "images/official.json");
    const text = readFileSync(path, "utf8");
    const { vllm: _, ...rest } = JSON.parse(text);
    writeFileSync(path, JSON.stringify({ ...rest, web: { image: "web", tag: "1" } }));
    commit();
    writeFileSync(path, text);
    const { containers, notes } = await previewStack(dir, "x", "main");
    expect([containers, notes.filter((note) => note.includes("cannot be planned"))]).toEqual([[], []]);
  });

  test("shows everything as new, and says why, if the base had mistakes or no such stack", async () => {
    git("init", "--quiet", "--initial-branch", "main");
    commit();
    write(models);
    expect((await previewStack(dir, "x", "main")).notes[0]).toBe(
      "Pulumi.x.yaml is not in git there: everything is new.",
    );
    write({ "gpubox:models": { far: { engine: "opena" } } });
    commit();
    write(models);
    const { notes, containers } = await previewStack(dir, "x", "main");
    expect(notes).toContain(
      "The other side cannot be planned (there is a mistake at gpubox:models.far.engine), so everything appears as new.",
    );
    expect(containers.every(({ action }) => action === "created")).toBe(true);
  });

  test("refuses a ref that git does not know, with what to do", async () => {
    git("init", "--quiet");
    write(models);
    commit();
    await expect(previewStack(dir, "x", "nowhere")).rejects.toMatchObject({
      what: 'git does not know "nowhere" here.',
      fix: "Name a branch, a tag or a commit; in CI, fetch it first (fetch-depth: 0).",
    });
  });
});
