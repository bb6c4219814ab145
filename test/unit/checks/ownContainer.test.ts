import fc from "fast-check";
import { engines } from "../../../configs/engines";
import { gpuHost, refusals, served } from "../../support/engines";
import { testPlan } from "../../support/stacks";

const entry = { engine: "llamacpp", model: "file:///srv/models/m.gguf" };

const models: Record<string, Record<string, unknown>> = {
  llamacpp: { model: "file:///srv/models/m.gguf" },
  vllm: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  sglang: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  "tensorrt-llm": { model: "file:///srv/models/m", gpu: { devices: [0] } },
  ollama: { model: "qwen3:8b" },
  "text-embeddings-inference": { model: "file:///srv/models/m" },
  speaches: { model: "hf://acme/whisper" },
  container: {
    ...{ image: { repository: "acme/server", tag: "v1" }, command: ["serve"], port: 80, healthPath: "/" },
  },
};

test("there is an entry here of every engine that has a container", () => {
  const served = Object.entries(engines).flatMap(([name, { container }]) => (container ? [name] : []));
  expect(Object.keys(models).sort()).toEqual(served.sort());
});

describe.each(Object.entries(models))("a container of %s", (engine, model) => {
  const plain = served({ engine, ...model });
  const own = served({
    ...{ engine, ...model },
    mounts: [
      { source: "/srv/x", target: "/x" },
      { source: "/srv/y", readOnly: false },
    ],
    ulimits: { nofile: 65_536, memlock: { soft: 1024, hard: -1 } },
    devices: ["/dev/infiniband/uverbs0"],
    shmMiB: 777,
  });

  test("has what its entry says, beside what its engine needs", () => {
    expect(own.container.mounts).toEqual([
      ...plain.container.mounts,
      { kind: "directory", source: "/srv/x", target: "/x", readOnly: true },
      { kind: "directory", source: "/srv/y", target: "/srv/y", readOnly: false },
    ]);
    expect(own.container.ulimits).toEqual([
      { name: "memlock", soft: 1024, hard: -1 },
      ...(plain.container.ulimits ?? []).filter(({ name }) => name === "stack"),
      { name: "nofile", soft: 65_536, hard: 65_536 },
    ]);
    expect(own.container.devices).toEqual(["/dev/infiniband/uverbs0"]);
    expect(own.container.shmMiB).toBe(777);
  });

  test("leaves the owners of the host's directories as they are", () => {
    expect(own.service.writable).toEqual(plain.service.writable);
  });
});

test("the models of a slot share what each of them wants", () => {
  const [a, b] = ["a", "b"].map((name, index) => ({
    ...{ engine: "llamacpp", model: `file:///srv/models/${name}.gguf`, start: "ondemand", slot: "s" },
    mounts: [{ source: `/srv/${name}` }],
    ulimits: { nofile: index === 0 ? 100 : -1 },
    shmMiB: 100 + index,
  }));
  const images = { "llama-swap": { reference: "llama-swap", source: "recipe" as const } };
  const recipes = ["gateway", "edge", "cache", "database"].map((role) => [
    role,
    { reference: role, source: "recipe" },
  ]);
  const plan = testPlan({ models: { a, b } }, undefined, {
    images: { ...Object.fromEntries(recipes), ...images },
    ...{ offlineModels: [], knownModels: [] },
  });
  const { container } = plan.slots[0]!.service;
  expect(container.mounts.map(({ target }) => target)).toEqual(
    expect.arrayContaining(["/srv/models", "/srv/a", "/srv/b"]),
  );
  expect([container.ulimits, container.shmMiB]).toEqual([[{ name: "nofile", soft: -1, hard: -1 }], 101]);
});

const SECRET = "holds the box's own files, among them its keys. Mount a directory outside";

test.each([
  ["/", "Write an absolute path"],
  ["/var/run/docker.sock", "is a socket"],
  ["/run/docker.sock", "is a socket"],
  ["/run", "belongs to the system"],
  ["/proc/1/root", "belongs to the system"],
  ["/sys", "belongs to the system"],
  ["/etc", "belongs to the system"],
  ["/etc/ssl/../shadow", "has .. in it"],
  ["/dev/shm", "belongs to the system"],
  ["/var/lib/docker/volumes/x", "belongs to somebody else"],
  ["/home/me", "is shared with others"],
  ["/home/me/.ssh", "belongs to somebody else"],
  ["/root/.kube", "belongs to somebody else"],
  ["/srv/gpubox", SECRET],
  ["/srv/gpubox/gateway/x", SECRET],
  ["/srv/../etc", "is no plain path"],
])("%s of the host is no mount", (source, what) => {
  const said = refusals({ ...entry, mounts: [{ source, target: "/x" }] });
  expect(said).toEqual([expect.stringContaining(what)]);
  expect(said[0]).toMatch(/^mounts\[0\]\.source: /);
});

test.each([
  "/srv/x",
  "/data/x",
  "/home/me/models",
  "/mnt/nfs/models",
  "/etc/ssl/certs",
  "/srv/gpubox/models/hf",
])("%s of the host is a mount", (source) => {
  expect(refusals({ ...entry, mounts: [{ source, target: "/x" }] })).toEqual([]);
});

test("certificates of the system can be read and not written", () => {
  expect(refusals({ ...entry, mounts: [{ source: "/etc/ssl/certs", readOnly: false }] })).toEqual([
    expect.stringContaining("belongs to the system"),
  ]);
});

test.each(["/etc", "/etc/gpubox/x", "/run/gpubox/locks", "/proc", "/dev/shm", "/app", "/cache", "/tmp"])(
  "nothing is mounted over %s of the container",
  (target) => {
    expect(refusals({ ...entry, mounts: [{ source: "/srv/x", target }] })).toEqual([
      `mounts[0].target: "${target}" is not valid. The container has that itself. Write another path, for example /srv/x.`,
    ]);
  },
);

test("two mounts have two targets", () => {
  const mounts = [
    { source: "/srv/a", target: "/x" },
    { source: "/srv/b", target: "/x" },
  ];
  expect(refusals({ ...entry, mounts })).toEqual([
    "mounts[1].target: /x is mounted twice. Write another target.",
  ]);
});

test("Ollama keeps its own store", () => {
  const mounts = [{ source: "/srv/a", target: "/models" }];
  expect(refusals({ engine: "ollama", ...models.ollama, mounts })).toEqual([
    "mounts[0].target: Ollama's own store is there. Write another target.",
  ]);
});

const disks = fc.constantFrom(
  "sda",
  "nvme0n1",
  "mem",
  "kmsg",
  "mapper/root",
  "loop0",
  "dm-0",
  "vda1",
  "tty0",
  "fuse",
  "nbd0",
);

test("no device of an entry is the host's disk, memory or console", () => {
  fc.assert(
    fc.property(disks, fc.constantFrom("", "/../", "/./"), (disk, detour) => {
      const device = `/dev${detour === "" ? "/" : `/dri${detour}`}${disk}`;
      expect(refusals({ ...entry, devices: [device] })).toHaveLength(1);
    }),
  );
  for (const device of [
    "/dev/infiniband/uverbs0",
    "/dev/dri/renderD128",
    "/dev/nvidia-uvm",
    "/dev/accel/accel0",
  ])
    expect(refusals({ ...entry, devices: [device] })).toEqual([]);
});

test("a setting of the container is none of a server that others run", () => {
  const remote = { engine: "openai", baseUrl: "http://h:1/v1", apiKey: "none" };
  expect(refusals({ ...remote, mounts: [{ source: "/srv/x" }] }, { host: gpuHost })).toEqual([
    expect.stringContaining("mounts"),
  ]);
});

test.each([
  "/var/run/docker.sock",
  "/etc/x.jinja",
  "/x.jinja",
  "/home/me/x.jinja",
  "/srv/gpubox/gateway/a/x.jinja",
])("a template at %s is refused: its folder would be mounted", (file) => {
  expect(refusals({ ...entry, chatTemplateFile: `file://${file}` })).toEqual([
    expect.stringMatching(/^chatTemplateFile: Its folder \S+ would be mounted, and that /),
  ]);
});

describe("weights on the host", () => {
  const sources = (source: string) => [
    { engine: "vllm", model: source.replace(/\/[^/]+\.gguf$/, "") },
    { ...entry, model: source },
    { ...entry, mmproj: source },
    { ...entry, lora: [source] },
    { ...entry, modelDraft: source },
  ];

  test.each([
    ["/x.gguf", "is the whole host"],
    ["/etc/x.gguf", "belongs to the system"],
    ["/home/me/x.gguf", "is shared with others"],
    ["/root/.ssh/x.gguf", "belongs to somebody else"],
    ["/srv/x.gguf", "holds the box's own files"],
    ["/srv/gpubox/x.gguf", "holds the box's own files"],
    ["/srv/gpubox/gateway/x.gguf", "holds the box's own files"],
    ["/srv/models/../../etc/x.gguf", "is no plain path: it has . or .. or // in it"],
    ["/home/me/.cache/../.ssh/x.gguf", "is no plain path: it has . or .. or // in it"],
  ])("are refused in %s, because their folder would be mounted and that %s", (file, flaw) => {
    for (const model of sources(`file://${file}`)) {
      const said = refusals(model, { host: gpuHost });
      // A schema refuses the root itself.
      if (model.model !== "file://")
        expect(said).toEqual([expect.stringContaining(`would be mounted, and that ${flaw}.`)]);
    }
  });

  test.each([
    "/srv/gpubox/models/x.gguf",
    "/srv/gpubox/models/own/x.gguf",
    "/data/x.gguf",
    "/mnt/disk/x.gguf",
    "/home/me/models/x.gguf",
    "/home/me/.cache/llama.cpp/x.gguf",
    "/home/me/.lmstudio/models/a/b/x.gguf",
    "/usr/share/models/x.gguf",
  ])("are taken in %s", (file) => {
    for (const model of sources(`file://${file}`)) expect(refusals(model, { host: gpuHost })).toEqual([]);
  });

  test("are refused in a hub's cache, where they are links", () => {
    const snapshot = "/home/me/.cache/huggingface/hub/models--a--b/snapshots/0123abc";
    for (const model of sources(`file://${snapshot}/x.gguf`))
      expect(refusals(model, { host: gpuHost })).toEqual([
        expect.stringContaining(`The files in ${snapshot} are links to files outside it`),
      ]);
  });
});

test("the mount that a refusal proposes is one that passes", () => {
  const paths = fc
    .tuple(fc.constantFrom("", "/srv", "/srv/t", "/home/me", "/root", "/mnt", "/data"), fc.boolean())
    .map(([folder, file]) => `${folder}/${file ? "x.jinja" : "folder"}`);
  fc.assert(
    fc.property(paths, (path) => {
      const flags = { ...entry, extraArgs: ["--allowed-local-media-path", path] };
      const [said = ""] = refusals(flags, { host: gpuHost });
      const source = /mounts: \[\{ source: (\S+) \}\]/.exec(said)?.[1];
      expect(source).toBeDefined();
      expect(refusals({ ...flags, mounts: [{ source }] }, { host: gpuHost })).toEqual([]);
    }),
  );
});

test.each(["~/cv.gguf", "$HOME/cv.gguf", "./cv.gguf", "../cv.gguf", "cv.gguf"])(
  "%s is no path of a container, behind a flag or in its word",
  (path) => {
    const what = `extraArgs: ${path} is no path that its container has. Write an absolute path, and the mount that brings it: mounts: [{ source: /srv/x }].`;
    expect(refusals({ ...entry, extraArgs: ["--control-vector", path] })).toEqual([what]);
    const vllm = { engine: "vllm", model: "file:///srv/models/m", gpu: { devices: [0] } };
    expect(refusals({ ...vllm, extraArgs: [`--tool-parser-plugin=${path}`] }, { host: gpuHost })).toEqual([
      what,
    ]);
  },
);

test("a shell's paths in variables are told too, and what only looks like a path passes", () => {
  expect(refusals({ ...entry, env: { CACHE: "~/x" } })).toEqual([
    expect.stringContaining("env.CACHE: ~/x is no path that its container has."),
  ]);
  const passes = ["--samplers", "top_k;temperature", "--temp", "0.5"];
  expect(refusals({ ...entry, env: { A: "x.json", B: "./x" }, extraArgs: passes })).toEqual([]);
});
