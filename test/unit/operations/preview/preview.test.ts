import { deployedBox } from "../../../../configs/plan/changeNotices";
import { compare } from "../../../../operations/preview/compare";
import { previewMarkdown, previewText } from "../../../../operations/preview/render";
import { headline } from "../../../../operations/preview/sections";
import type { Changes } from "../../../../operations/preview/types";
import { model } from "../../../support/demands";
import { recipes, testSecrets, testSide, tinyModel } from "../../../support/stacks";

const { tiny } = tinyModel;
const far = { engine: "openai", baseUrl: "http://far/v1", start: "manual" };

/** `backend-tiny replaced: command --ctx-size 4096 → 8192` */
const contained = ({ containers }: Changes) =>
  containers.map(({ container, action, copies, reasons }) => {
    const why = reasons.map(({ input, detail }) => `${input} ${detail}`).join("; ");
    const count = copies ? ` ${copies.before} → ${copies.after}` : "";
    return `${container} ${action}${count}${why && `: ${why}`}`;
  });

const waiting = ({ gaps }: Changes) =>
  gaps.map(({ container, models, aboutSeconds }) => ({ container, models, aboutSeconds }));

const GIB = 2 ** 30;

describe("a preview says of", () => {
  const before = testSide();

  test("a model that is added what comes, and that nobody waits", () => {
    const changes = compare(before, testSide({ models: { tiny, small: tiny } }));
    expect(changes.models).toEqual([
      { model: "small", change: "added", what: "llamacpp, file:///srv/models/tiny.gguf", fields: [] },
    ]);
    expect(contained(changes)).toEqual([
      "valve-small created",
      "backend-small created",
      "gateway replaced: models small added; file config.yaml +16 −0 lines",
    ]);
    expect([changes.gaps, changes.data, changes.downloads]).toEqual([[], [], []]);
  });

  test("a model that is removed which containers go", () => {
    const changes = compare(testSide({ models: { tiny, far } }), testSide({ models: { far } }));
    expect(changes.models.map(({ model, change }) => `${model} ${change}`)).toEqual(["tiny removed"]);
    expect(contained(changes).map((line) => line.split(":")[0])).toEqual([
      "gateway replaced",
      "valve-tiny deleted",
      "backend-tiny deleted",
    ]);
    expect(changes.gaps).toEqual([]);
  });

  test("an engine's flag the field in the config's words, the flag, and who waits", () => {
    const changes = compare(before, testSide({ models: { tiny: { ...tiny, ctxSize: 8192 } } }));
    expect(changes.models[0]?.fields).toEqual([{ path: "gpubox:models.tiny.ctxSize", after: "8192" }]);
    expect(contained(changes)).toEqual([
      "backend-tiny replaced: command --ctx-size 4096 → 8192",
      "gateway replaced: models tiny changed; file config.yaml +1 −1 lines",
    ]);
    expect(waiting(changes)).toEqual([
      { container: "backend-tiny", models: ["tiny"], aboutSeconds: undefined },
    ]);
    expect(changes.gaps[0]?.source).toBe(
      "no estimate, because the size of its weights is not locked; at most 30 s for what runs, 10 s to stop and 298 s to be ready",
    );
  });

  test("weights with a locked size how long the gap is, and why", () => {
    const lock = { [tiny.model]: { ...model(9.3, {}, "gguf"), revision: "" } };
    const entry = { ...tiny, memoryMiB: 32_768 };
    const old = testSide({ models: { tiny: entry } }, { lock });
    const changes = compare(old, testSide({ models: { tiny: { ...entry, ctxSize: 8192 } } }, { lock }));
    expect(waiting(changes)).toEqual([{ container: "backend-tiny", models: ["tiny"], aboutSeconds: 20 }]);
    expect(changes.gaps[0]?.source).toMatch(
      /^10 s for stop and start, and 9\.30 GiB of weights at 1 GB\/s; at most 30 s for what runs, 10 s to stop and \d+ s to be ready$/,
    );
  });

  test("an alias that only the gateway is replaced, next to the serving one", () => {
    const changes = compare(before, testSide({ models: { tiny: { ...tiny, aliases: ["small"] } } }));
    expect(changes.models[0]?.fields).toEqual([{ path: "gpubox:models.tiny.aliases", after: '["small"]' }]);
    expect(changes.containers.map(({ container, how }) => [container, how])).toEqual([
      ["gateway", "start-first"],
    ]);
    expect(headline(changes)).toBe(
      "models: 1 changed; containers: 1 replaced; nobody waits; no data is lost",
    );
  });

  test("a gateway's setting which one", () => {
    const changes = compare(before, testSide({ models: tinyModel, gateway: { routing: { retries: 1 } } }));
    expect(changes.settings).toEqual([{ path: "gpubox:gateway.routing", after: '{"retries":1}' }]);
    expect(headline(changes)).toBe(
      "settings: 1 changed; containers: 1 replaced; nobody waits; no data is lost",
    );
    expect(contained(changes)).toEqual(["gateway replaced: file config.yaml +1 −0 lines"]);
  });

  test("a port what is opened and closed, and that everybody waits", () => {
    const changes = compare(before, testSide({ models: tinyModel, gateway: { port: 4100 } }));
    const ports = (list: { port: number }[]) => list.map(({ port }) => port);
    expect([ports(changes.ports.opened), ports(changes.ports.closed)]).toEqual([
      [4100, 4101],
      [4000, 4001],
    ]);
    expect(waiting(changes)).toEqual([{ container: "edge", models: "all", aboutSeconds: 10 }]);
    expect(contained(changes)[0]).toBe(
      "edge replaced: ports −127.0.0.1:4000, −127.0.0.1:4001, +127.0.0.1:4100, +127.0.0.1:4101",
    );
  });

  test("a wait at the valve that its new files cost no connection", () => {
    const changes = compare(before, testSide({ models: { tiny: { ...tiny, holdSeconds: 5 } } }));
    expect(contained(changes)[0]).toMatch(/^valve-tiny reloaded: file haproxy\.cfg \+\d+ −\d+ lines$/);
    expect(changes.gaps).toEqual([]);
  });

  test("replicas how many there are and will be, without another gateway where nothing else differs", () => {
    const changes = compare(before, testSide({ models: tinyModel, gateway: { replicas: 2 } }));
    expect(contained(changes)).toEqual(["gateway scaled 1 → 2"]);
  });

  test("a secret its name, where it is, and nothing of its value", () => {
    const secrets = { ...testSecrets, masterKey: "sk-PLANTED-another-0123456789abcdef" };
    const changes = compare(before, testSide(undefined, { secrets }));
    expect(changes.secrets).toEqual([
      { name: "masterKey", change: "set anew", containers: ["edge", "gateway"] },
    ]);
    expect(contained(changes)).toEqual([
      "edge reloaded: secret masterKey set anew",
      "gateway replaced: secret masterKey set anew",
    ]);
    const preview = { ...changes, stack: "test", base: "before", policy: [], notes: [] };
    expect(previewText(preview) + previewMarkdown(preview) + JSON.stringify(preview)).not.toContain(
      "PLANTED",
    );
  });

  test("switching off the stores what Redis loses and what Postgres keeps", () => {
    const changes = compare(before, testSide({ models: tinyModel, cache: { mode: "none" } }));
    expect(changes.data).toEqual([
      { what: "Cached answers and the counters of limits, which Redis keeps only in memory.", fate: "lost" },
    ]);
    expect(contained(changes).at(-1)).toBe("cache deleted");
    expect(changes.secrets).toEqual([
      { name: "cachePassword", change: "no longer used", containers: ["cache", "gateway"] },
    ]);
    const none = compare(before, testSide({ models: tinyModel, database: { mode: "none" } }));
    expect(none.data.map(({ fate, what }) => `${fate}: ${what.split(":")[0]}`)).toEqual([
      "kept: The volume gpubox-test-database",
      "kept: The directory /srv/gpubox/database-state",
    ]);
  });

  test("a moved image what is downloaded, and every container that runs it", () => {
    const moved = {
      ...recipes,
      images: { ...recipes.images, edge: { reference: "haproxy@sha256:1", source: "digest" as const } },
    };
    const changes = compare(before, testSide(undefined, { resolved: moved }));
    expect(changes.downloads).toEqual([
      { kind: "image", what: "haproxy@sha256:1", remark: "size not locked" },
    ]);
    expect(contained(changes)).toEqual([
      "valve-tiny replaced: image gpubox/edge:222222222222 → haproxy@sha256:1",
      "edge replaced: image gpubox/edge:222222222222 → haproxy@sha256:1",
    ]);
    expect(waiting(changes).map(({ container, models }) => [container, models])).toEqual([
      ["edge", "all"],
      ["valve-tiny", ["tiny"]],
    ]);
  });

  test("an image's size is that of the host's architecture, if the lock has it", () => {
    const sized = (bytes: Record<string, number>) => {
      const edge = { reference: "haproxy@sha256:1", source: "digest" as const, bytes };
      return compare(
        before,
        testSide(undefined, { resolved: { ...recipes, images: { ...recipes.images, edge } } }),
      );
    };
    expect(sized({ amd64: 5, arm64: 6 }).downloads).toEqual([
      { kind: "image", what: "haproxy@sha256:1", bytes: 5 },
    ]);
    expect(sized({ arm64: 6 }).downloads).toEqual([
      { kind: "image", what: "haproxy@sha256:1", remark: "size not locked" },
    ]);
  });

  test("weights of another revision what is fetched, with its size, and whose backend is replaced", () => {
    const source = "hf://Qwen/Qwen3-8B-GGUF/q8.gguf";
    const locked = (commit: string) => ({
      [source]: { ...model(8, {}, "gguf"), revision: commit.repeat(40) },
    });
    const entry = { engine: "llamacpp", model: source, memoryMiB: 32_768 };
    const side = (commit: string) => testSide({ models: { qwen: entry } }, { lock: locked(commit) });
    const changes = compare(side("a"), side("b"));
    expect(changes.downloads).toEqual([
      { kind: "weights", what: source, bytes: 8 * GIB, remark: "aaaaaaaaaaaa… → bbbbbbbbbbbb…" },
    ]);
    expect(changes.models[0]?.fields).toEqual([
      { path: `models.lock.json ${source}`, before: "aaaaaaaaaaaa…", after: "bbbbbbbbbbbb…" },
    ]);
    // The gateway knows its name only, and stays.
    expect(contained(changes).map((line) => line.split(":")[0])).toEqual(["backend-qwen replaced"]);
  });

  test("losing one of two instances that nobody waits for the model", () => {
    const models = { tiny: { ...tiny, instances: [{ name: "left" }, { name: "right" }] } };
    const [old, now] = [testSide({ models }), testSide({ models })];
    now.plan.backends[0]!.service.container.labels["gpubox.spec"] = "another";
    const changes = compare(old, now);
    expect(
      changes.gaps.map(({ container, models, notice }) => [container, models, notice.slice(-49)]),
    ).toEqual([["backend-tiny-left", [], "s, the model's other instances take its requests."]]);
    // The hash knows of something that the two plans do not show.
    expect(contained(changes)).toEqual([
      "backend-tiny-left replaced: gpubox its own code or a secret's value changed",
    ]);
  });

  test("a first box that everything is new", () => {
    const changes = compare(undefined, before);
    expect(changes.containers.every(({ action }) => action === "created")).toBe(true);
    expect([changes.gaps, changes.data, changes.ports.closed]).toEqual([[], [], []]);
    expect(changes.containers).toHaveLength(Object.keys(deployedBox(before.plan).containers).length);
  });

  test("another host that everything is created there, that nobody waits for it, and what stays on the old one", () => {
    const lock = { [tiny.model]: { ...model(9.3, {}, "gguf"), revision: "" } };
    const entry = { ...tiny, memoryMiB: 32_768 };
    const on = (docker: string, more = {}) =>
      testSide({ host: { docker }, models: { tiny: { ...entry, ...more } } }, { lock });
    const old = on("ssh://ada@gpu1");
    const known = { before: deployedBox(old.plan), after: deployedBox(on("ssh://gpu2").plan) };
    const changes = compare(old, on("ssh://gpu2:2222", { ctxSize: 8192 }), known);
    expect(changes.settings).toEqual([
      { path: "gpubox:host.docker", before: "ssh://ada@gpu1", after: "ssh://gpu2:2222" },
    ]);
    expect(changes.models.map(({ change }) => change)).toEqual(["changed"]);
    expect([...new Set(changes.containers.map(({ action }) => action))]).toEqual(["created"]);
    expect(changes.containers).toHaveLength(Object.keys(deployedBox(old.plan).containers).length);
    expect([changes.gaps, changes.steps, changes.ports.closed]).toEqual([[], [], []]);
    expect(changes.ports.opened.map(({ port }) => port)).toEqual([4000, 4001]);
    expect(changes.downloads.map(({ kind }) => kind)).toContain("image");
    expect(changes.data).toEqual([
      {
        what: "The whole box on ada@gpu1, which keeps running: the box on gpu2:2222 is a new one, with its own volumes and weights.",
        fate: "kept",
      },
    ]);
    expect(compare(on("unix:///var/run/docker.sock"), on("ssh://gpu2")).data[0]?.what).toMatch(
      /^The whole box on this machine \(unix:\/\/\/var\/run\/docker\.sock\), /,
    );
  });

  test("another login at the same host that no container changes", () => {
    const on = (docker: string) => testSide({ host: { docker }, models: tinyModel });
    const changes = compare(on("ssh://ada@gpu1"), on("ssh://bob@gpu1"));
    expect([changes.containers, changes.data]).toEqual([[], []]);
    expect(headline(changes)).toBe("settings: 1 changed; no container changes");
    const preview = { ...changes, stack: "test", base: "before", policy: [], notes: [] };
    expect(previewMarkdown(preview).split("\n")[4]).toBe("**settings: 1 changed; no container changes**");
  });

  test("another gateway image that the database is migrated, which no rollback undoes", () => {
    const resolved = (reference: string) => ({
      ...recipes,
      images: { ...recipes.images, gateway: { reference, source: "digest" as const } },
    });
    const side = (reference: string) => testSide(undefined, { resolved: resolved(reference) });
    const { steps } = compare(side("litellm@sha256:1"), side("litellm@sha256:2"));
    expect(steps).toEqual([expect.stringMatching(/^The database is backed up and migrated /)]);
  });
});
