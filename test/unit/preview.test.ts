import fc from "fast-check";
import { announcements, deployedBy } from "../../configs/plan/announce";
import { compare, isEmpty } from "../../configs/preview/compare";
import { mistakesMarkdown, previewMarkdown, previewText } from "../../configs/preview/render";
import { headline } from "../../configs/preview/sections";
import type { Changes, Side } from "../../configs/preview/types";
import { model } from "../support/demands";
import { recipes, testSecrets, testSide, tinyModel } from "../support/stacks";

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
      "gateway replaced: models small added; file config.yaml +15 −0 lines",
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
      "no estimate, because the size of its weights is not locked; at most 10 s to stop and 298 s to be ready",
    );
  });

  test("weights whose size is locked how long the gap is, and from what that follows", () => {
    const lock = { [tiny.model]: { ...model(9.3, {}, "gguf"), revision: "" } };
    const entry = { ...tiny, memoryMiB: 32_768 };
    const old = testSide({ models: { tiny: entry } }, { lock });
    const changes = compare(old, testSide({ models: { tiny: { ...entry, ctxSize: 8192 } } }, { lock }));
    expect(waiting(changes)).toEqual([{ container: "backend-tiny", models: ["tiny"], aboutSeconds: 20 }]);
    expect(changes.gaps[0]?.source).toMatch(
      /^10 s for stop and start, and 9\.30 GiB of weights at 1 GB\/s; at most 10 s to stop and \d+ s to be ready$/,
    );
  });

  test("an alias that only the gateway is another, beside the one that serves", () => {
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

  test("a wait at the valve that its files are taken without a lost connection", () => {
    const changes = compare(before, testSide({ models: { tiny: { ...tiny, holdSeconds: 5 } } }));
    expect(contained(changes)[0]).toMatch(/^valve-tiny reloaded: file haproxy\.cfg \+\d+ −\d+ lines$/);
    expect(changes.gaps).toEqual([]);
  });

  test("replicas how many there are and will be, without another gateway where nothing else differs", () => {
    const changes = compare(before, testSide({ models: tinyModel, gateway: { replicas: 2 } }));
    expect(contained(changes)).toEqual(["gateway scaled 1 → 2"]);
  });

  test("a secret its name, where it lies, and nothing of its value", () => {
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

  test("Redis that is switched off what is lost, and of Postgres what is kept", () => {
    const changes = compare(before, testSide({ models: tinyModel, cache: { mode: "none" } }));
    expect(changes.data).toEqual([
      { what: "Cached answers and the counters of limits, which Redis has in memory only.", fate: "lost" },
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

  test("an image that moves what is downloaded, and every container that runs it", () => {
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

  test("an image's size is the one of the host's architecture, where the lock has it", () => {
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

  test("a model that moves to another GPU what each device has before and after", () => {
    const host = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 24 })) };
    const resolved = {
      ...recipes,
      images: {
        ...recipes.images,
        "llamacpp-cuda": { reference: "gpubox/cuda:7", source: "recipe" as const },
      },
    };
    const on = (device: number) =>
      testSide(
        { host, models: { tiny: { ...tiny, gpu: { devices: [device], memoryGiB: 8 } } } },
        { resolved },
      );
    const changes = compare(on(0), on(1));
    expect(changes.gpus).toEqual([
      {
        device: "0",
        before: { totalMiB: 24576, usedMiB: 8192, tenants: [{ backend: "tiny", mib: 8192 }] },
        after: { totalMiB: 24576, usedMiB: 0, tenants: [] },
      },
      {
        device: "1",
        before: { totalMiB: 24576, usedMiB: 0, tenants: [] },
        after: { totalMiB: 24576, usedMiB: 8192, tenants: [{ backend: "tiny", mib: 8192 }] },
      },
    ]);
    const backend = changes.containers.find(({ container }) => container === "backend-tiny");
    expect(backend?.action).toBe("replaced");
    expect(backend?.reasons.map(({ input }) => input)).toContain("gpu");
    expect(previewText({ ...changes, stack: "t", base: "b", policy: [], notes: [] })).toContain(
      "  device `0`: 8192 of 24576 MiB → 0 of 24576 MiB\n    `tiny`: 8192 MiB → none",
    );
  });

  describe("a full GPU", () => {
    const host = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 24 })) };
    const resolved = {
      ...recipes,
      images: {
        ...recipes.images,
        "llamacpp-cuda": { reference: "gpubox/cuda:7", source: "recipe" as const },
      },
    };
    const large = (memoryGiB: number, device = 0, more = {}) => ({
      ...tiny,
      gpu: { devices: [device], memoryGiB },
      ...more,
    });
    const side = (models: Record<string, unknown>) => testSide({ host, models }, { resolved });

    test("which model has to stop first, because Pulumi deletes last, and not that nobody waits", () => {
      const old = side({ qwen: large(12), small: large(4), other: large(18, 1) });
      const now = side({ qwen3: large(12), small: large(4), other: large(18, 1) });
      const changes = compare(old, now);
      const [device] = changes.crowded;
      expect([device?.device, device?.stop]).toEqual(["0", ["qwen"]]);
      // 12 + 12 + 4 GiB on 24, of which some are kept back.
      expect(device?.missingMib).toBeGreaterThanOrEqual(4096);
      expect(device?.missingMib).toBeLessThan(6144);
      expect(device?.notice).toMatch(
        /^Device 0 has no room for what starts beside what goes, which is deleted last: \d\.\d GiB are missing, .* Stop qwen before it, on the host: `docker stop gpubox-test-backend-qwen`\.$/,
      );
      expect(headline(changes)).toBe(
        "models: 1 removed, 1 added; containers: 2 created, 1 replaced, 2 deleted; qwen has to stop before `up` on device 0; no data is lost",
      );
      expect(previewText({ ...changes, stack: "t", base: "b", policy: [], notes: [] })).toContain(
        `Who waits, and how long\n  ${device?.notice}`,
      );
      // Pulumi's own preview says it in the same words.
      expect(announcements(deployedBy(old.plan), now.plan)).toContain(device?.notice);
    });

    test("the same of one model that becomes two instances", () => {
      const instances = [0, 1].map((device) => ({ gpu: { devices: [device], memoryGiB: 18 } }));
      const changes = compare(side({ qwen: large(18) }), side({ qwen: { ...tiny, instances } }));
      expect(changes.crowded.map(({ stop }) => stop)).toEqual([["qwen"]]);
    });

    test("the same of one that only goes, where its neighbour grows into what it leaves", () => {
      const source = "hf://Qwen/Qwen3-8B";
      const images = { ...resolved.images, vllm: { reference: "vllm@sha256:1", source: "digest" as const } };
      const beside = (models: Record<string, unknown>) =>
        testSide(
          {
            host,
            models: {
              ...models,
              grows: { engine: "vllm", model: source, maxModelLen: 16384, gpu: { devices: [0] } },
            },
          },
          { resolved: { ...resolved, images }, lock: { [source]: model(8) } },
        );
      const changes = compare(beside({ small: large(4) }), beside({}));
      expect(changes.containers.find(({ container }) => container === "backend-grows")?.action).toBe(
        "replaced",
      );
      expect(changes.crowded.map(({ stop }) => stop)).toEqual([["small"]]);
    });

    test("nothing of the sort where both have room, where one only goes, or is started by hand", () => {
      const crowded = (a: Record<string, unknown>, b: Record<string, unknown>) =>
        compare(side(a), side(b)).crowded;
      expect(crowded({ qwen: large(8) }, { qwen3: large(8) })).toEqual([]);
      expect(crowded({ qwen: large(18), small: large(4) }, { small: large(4) })).toEqual([]);
      expect(crowded({ qwen: large(18) }, { qwen: large(18, 1) })).toEqual([]);
      expect(crowded({ qwen: large(18) }, { qwen3: large(18, 0, { start: "manual" }) })).toEqual([]);
    });
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
      { kind: "weights", what: source, bytes: 8 * GIB, remark: "aaaaaaaaaaaa → bbbbbbbbbbbb" },
    ]);
    expect(changes.models[0]?.fields).toEqual([
      { path: `models.lock.json ${source}`, before: "aaaaaaaaaaaa", after: "bbbbbbbbbbbb" },
    ]);
    // The gateway knows its name only, and stays.
    expect(contained(changes).map((line) => line.split(":")[0])).toEqual(["backend-qwen replaced"]);
  });

  test("instances that only lose one of two that nobody waits for the model", () => {
    const models = { tiny: { ...tiny, instances: [{ name: "left" }, { name: "right" }] } };
    const [old, now] = [testSide({ models }), testSide({ models })];
    now.plan.backends[0]!.service.container.labels["gpubox.spec"] = "another";
    const changes = compare(old, now);
    expect(
      changes.gaps.map(({ container, models, notice }) => [container, models, notice.slice(-49)]),
    ).toEqual([["backend-tiny-left", [], "s, the model's other instances take its requests."]]);
    // The hash knows of something that the two plans do not show.
    expect(contained(changes)).toEqual([
      "backend-tiny-left replaced: gpubox its own code, or a secret's value, is not what it was",
    ]);
  });

  test("a first box that everything is new", () => {
    const changes = compare(undefined, before);
    expect(changes.containers.every(({ action }) => action === "created")).toBe(true);
    expect([changes.gaps, changes.data, changes.ports.closed]).toEqual([[], [], []]);
    expect(changes.containers).toHaveLength(Object.keys(deployedBy(before.plan).containers).length);
  });

  test("another host that all is made there, that nobody waits for it, and what stays at the old one", () => {
    const lock = { [tiny.model]: { ...model(9.3, {}, "gguf"), revision: "" } };
    const entry = { ...tiny, memoryMiB: 32_768 };
    const on = (docker: string, more = {}) =>
      testSide({ host: { docker }, models: { tiny: { ...entry, ...more } } }, { lock });
    const old = on("ssh://ada@gpu1");
    const known = { before: deployedBy(old.plan), after: deployedBy(on("ssh://gpu2").plan) };
    const changes = compare(old, on("ssh://gpu2:2222", { ctxSize: 8192 }), known);
    expect(changes.settings).toEqual([
      { path: "gpubox:host.docker", before: "ssh://ada@gpu1", after: "ssh://gpu2:2222" },
    ]);
    expect(changes.models.map(({ change }) => change)).toEqual(["changed"]);
    expect([...new Set(changes.containers.map(({ action }) => action))]).toEqual(["created"]);
    expect(changes.containers).toHaveLength(Object.keys(deployedBy(old.plan).containers).length);
    expect([changes.gaps, changes.steps, changes.ports.closed]).toEqual([[], [], []]);
    expect(changes.ports.opened.map(({ port }) => port)).toEqual([4000, 4001]);
    expect(changes.downloads.map(({ kind }) => kind)).toContain("image");
    expect(changes.data).toEqual([
      {
        what: "The whole box on ada@gpu1, which goes on as it is: the box on gpu2:2222 is another, with volumes and weights of its own.",
        fate: "kept",
      },
    ]);
    expect(compare(on("unix:///var/run/docker.sock"), on("ssh://gpu2")).data[0]?.what).toMatch(
      /^The whole box on this machine \(unix:\/\/\/var\/run\/docker\.sock\), /,
    );
  });

  test("another login at the same host that no container is another", () => {
    const on = (docker: string) => testSide({ host: { docker }, models: tinyModel });
    const changes = compare(on("ssh://ada@gpu1"), on("ssh://bob@gpu1"));
    expect([changes.containers, changes.data]).toEqual([[], []]);
    expect(headline(changes)).toBe("settings: 1 changed; no container changes");
    const preview = { ...changes, stack: "test", base: "before", policy: [], notes: [] };
    expect(previewMarkdown(preview).split("\n")[4]).toBe("**settings: 1 changed; no container changes**");
  });

  test("another gateway image with a database that it is migrated, which no rollback undoes", () => {
    const resolved = (reference: string) => ({
      ...recipes,
      images: { ...recipes.images, gateway: { reference, source: "digest" as const } },
    });
    const side = (reference: string) => testSide(undefined, { resolved: resolved(reference) });
    const { steps } = compare(side("litellm@sha256:1"), side("litellm@sha256:2"));
    expect(steps).toEqual([expect.stringMatching(/^The database is backed up and migrated /)]);
  });
});

describe("what stands in a config", () => {
  test("and looks like a secret is hidden", () => {
    const before = testSide();
    const after = testSide();
    after.values = { models: tinyModel, gateway: { env: { A: "sk-PLANTED-0123456789abcdef" } } };
    expect(compare(before, after).settings).toEqual([
      { path: "gpubox:gateway.env", after: '{"A":"(hidden)"}' },
    ]);
  });

  test("and looks like a secret is hidden behind a flag and in a container's reasons too, whatever is waived", () => {
    const policy = { waive: { "no-plaintext-secrets": "they are keys of a public test" } };
    const side = (word: string) =>
      testSide({
        policy,
        models: {
          tiny: {
            ...tiny,
            env: { MY_TOKEN: `PLANTED-env-${word}` },
            extraArgs: [
              ...[`--hf-token=hf_PLANTED0123456789${word}`, "--admin-api-key", `PLANTED-${word}`],
              ...["--header", `Authorization: Bearer PLANTED-${word}`],
              ...["--options", `{"password": "PLANTED-${word}", "key":"sk-PLANTED0123456789${word}"}`],
            ],
          },
        },
      });
    const changes = compare(side("first"), side("second"));
    expect(changes.models.find(({ model }) => model === "tiny")?.fields).toEqual([
      {
        path: "gpubox:models.tiny.env.MY_TOKEN",
        before: "(hidden)",
        after: "(hidden)",
      },
      {
        path: "gpubox:models.tiny.extraArgs",
        before: expect.stringMatching(
          /^\["--hf-token=\(hidden\)","--admin-api-key","\(hidden\)","--header",/,
        ),
        after: expect.stringMatching(/^\["--hf-token=\(hidden\)","--admin-api-key","\(hidden\)","--header",/),
      },
    ]);
    const backend = changes.containers.find(({ container }) => container === "backend-tiny");
    expect(backend?.reasons.map(({ detail }) => detail)).toEqual(
      expect.arrayContaining([
        expect.stringContaining("−--hf-token=(hidden)"),
        expect.stringContaining("+--hf-token=(hidden)"),
        expect.stringContaining("--admin-api-key (hidden) → (hidden)"),
        "MY_TOKEN (hidden) → (hidden)",
      ]),
    );
    expect(JSON.stringify(changes)).not.toContain("PLANTED");
  });

  test("can neither mention anybody nor break out of the Markdown", () => {
    const changes = compare(testSide(), testSide());
    const preview = {
      ...changes,
      stack: "test",
      base: "x",
      policy: [],
      notes: ["<img src=x> @everybody `a`"],
    };
    expect(previewMarkdown(preview)).toContain("- &lt;img src=x> &#64;everybody `a`");
    const path = "gpubox:models.`x`\n## y";
    expect(
      mistakesMarkdown("test", [{ path, what: "Bad <b>.", fix: "@x" }])
        .split("\n")
        .slice(2),
    ).toEqual([
      "**`Pulumi.test.yaml` has a mistake: `up` would refuse it.**",
      "",
      "- `gpubox:models.'x' ## y`: Bad &lt;b>. &#64;x",
      "",
    ]);
  });
});

const entry = fc.record(
  {
    ctxSize: fc.constantFrom(2048, 4096),
    memoryMiB: fc.constantFrom(1024, 2048),
    aliases: fc.constantFrom([], ["nick"]),
    holdSeconds: fc.constantFrom(0, 30),
    start: fc.constantFrom("auto", "manual", "ondemand"),
    env: fc.constantFrom({}, { LLAMA_LOG: "1" }),
  },
  { requiredKeys: [] },
);

const box = fc.record({
  models: fc.record(
    { tiny: entry.map((more) => ({ ...tiny, ...more })), far: fc.constant({ ...far, aliases: [] }) },
    { requiredKeys: [] },
  ),
  gateway: fc.record(
    {
      port: fc.constantFrom(4000, 4100),
      drainTimeout: fc.constantFrom(30, 60),
      hosts: fc.constantFrom([], ["box.example"]),
      memoryMiB: fc.constantFrom(2048, 4096),
    },
    { requiredKeys: [] },
  ),
  cache: fc.record({ mode: fc.constantFrom("bundled", "none"), memoryMiB: fc.constantFrom(256, 512) }),
  database: fc.record({ mode: fc.constantFrom("bundled", "none") }),
  observability: fc.record({ mode: fc.constantFrom("bundled", "none") }),
});

const observed = {
  ...recipes,
  images: {
    ...recipes.images,
    ...Object.fromEntries(
      [
        ...["prometheus", "alertmanager", "grafana", "node-exporter", "redis-exporter", "postgres-exporter"],
        ...["llama-swap"],
      ].map((role) => [role, { reference: `gpubox/${role}:1`, source: "recipe" as const }]),
    ),
  },
};
const secrets = { ...testSecrets, grafanaPassword: "PLANTED-grafana" };
const sideOf = (values: Record<string, unknown>): Side => testSide(values, { secrets, resolved: observed });

test("a preview without a change says so, whatever it notes", () => {
  const changes = compare(testSide(), testSide());
  const preview = { ...changes, stack: "test", base: "before", policy: [], notes: ["still true"] };
  expect(previewText(preview)).toBe(
    "test against before\n\n`npm run up` would change nothing.\n\nNotes\n  still true",
  );
  expect(previewMarkdown(preview).split("\n")[4]).toBe("`npm run up` would change nothing.");
});

test("equal boxes make an empty preview", () => {
  fc.assert(
    fc.property(box, (values) => {
      expect(isEmpty(compare(sideOf(values), sideOf(structuredClone(values))))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test("every container whose hash, files or existence differs is announced with a reason, and no other", () => {
  fc.assert(
    fc.property(box, box, (a, b) => {
      const [before, after] = [sideOf(a), sideOf(b)];
      const changes = compare(before, after);
      const [old, now] = [deployedBy(before.plan), deployedBy(after.plan)];
      const names = [...new Set([...Object.keys(old.containers), ...Object.keys(now.containers)])];
      const differing = names.filter(
        (name) => old.containers[name] !== now.containers[name] || old.files[name] !== now.files[name],
      );
      expect(changes.containers.map(({ container }) => container).sort()).toEqual(differing.sort());
      const monitors = after.plan.observability?.services.map(({ container }) => container.name) ?? [];
      const interrupted = changes.containers
        .filter(({ action, how }) => action === "replaced" && how === "stop-first")
        .map(({ container }) => container)
        .filter((name) => !monitors.includes(name));
      expect(changes.gaps.map(({ container }) => container).sort()).toEqual(interrupted.sort());
      for (const { action, reasons } of changes.containers)
        if (["replaced", "reloaded", "written"].includes(action))
          expect(reasons.map(({ input }) => input)).not.toEqual([]);
      expect(
        changes.containers.flatMap(({ reasons }) => reasons).filter(({ input }) => input === "gpubox"),
      ).toEqual([]);
    }),
    { numRuns: 150 },
  );
});
