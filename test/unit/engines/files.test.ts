import { engines } from "../../../configs/engines";
import type { FileKind } from "../../../configs/engines/engine";
import type { ModelLock } from "../../../configs/models/facts";
import { locked, refusals, served } from "../../support/engines";

/** An entry of each engine that has keys which name files. */
const entries: Record<string, Record<string, unknown>> = {
  llamacpp: { model: "file:///srv/models/m.gguf" },
  vllm: { model: "hf://acme/m", gpu: { devices: [0] } },
  sglang: { model: "hf://acme/m", gpu: { devices: [0] } },
  "tensorrt-llm": { model: "hf://acme/m", gpu: { devices: [0] } },
};

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const HUB = `/srv/gpubox/models/hf/acme/side/${COMMIT}`;

interface Kind {
  hub: string;
  /** Path in the container, and the folder that is mounted. */
  hubPath: string;
  hubFiles: string[];
  host: string;
  hostPath: string;
  hostFolder: string;
  wrong: string;
  flaw: string;
}

const files = ["t/x.jinja", "x.gguf", "model.safetensors", "tokenizer.json", "model.safetensors.index.json"];

const kinds: Record<FileKind, Kind> = {
  text: {
    ...{ hub: "hf://acme/side/t/x.jinja", hubPath: `${HUB}/t/x.jinja`, hubFiles: ["t/x.jinja"] },
    ...{ host: "file:///srv/t/x.jinja", hostPath: "/srv/t/x.jinja", hostFolder: "/srv/t" },
    ...{ wrong: "hf://acme/side", flaw: "names a repository, and this key wants a file of it." },
  },
  gguf: {
    ...{ hub: "hf://acme/side/x.gguf", hubPath: `${HUB}/x.gguf`, hubFiles: ["x.gguf"] },
    ...{ host: "file:///srv/d/x.gguf", hostPath: "/srv/d/x.gguf", hostFolder: "/srv/d" },
    ...{ wrong: "hf://acme/side", flaw: "is no GGUF." },
  },
  weights: {
    ...{
      hub: "hf://acme/side",
      hubPath: HUB,
      hubFiles: files.filter((one) => /^[^/]*\.(safetensors|json)$/.test(one)),
    },
    ...{ host: "file:///srv/d", hostPath: "/srv/d", hostFolder: "/srv/d" },
    ...{ wrong: "hf://acme/side/x.gguf", flaw: "names one file, and this key wants a repository." },
  },
  tokenizer: {
    ...{ hub: "hf://acme/side", hubPath: HUB, hubFiles: ["tokenizer.json"] },
    ...{ host: "file:///srv/d", hostPath: "/srv/d", hostFolder: "/srv/d" },
    ...{ wrong: "hf://acme/side/x.gguf", flaw: "names one file, and this key wants a repository." },
  },
  settings: {
    ...{
      hub: "hf://acme/side",
      hubPath: HUB,
      hubFiles: files.filter((one) => /^[^/]*\.(safetensors|json)$/.test(one)),
    },
    ...{ host: "file:///srv/d", hostPath: "/srv/d", hostFolder: "/srv/d" },
    ...{ wrong: "", flaw: "" },
  },
};

const all = Object.entries(engines).flatMap(([engine, { files = {} }]) =>
  Object.entries(files).map(([key, kind]): [string, string, FileKind] => [engine, key, kind]),
);

function lockOf(kind: FileKind): ModelLock {
  const { hub, hubFiles } = kinds[kind];
  const kept = kind === "tokenizer" ? files.filter((one) => !/[/]|gguf/.test(one)) : hubFiles;
  const common = { revision: COMMIT, files: kept.map((path) => ({ path, bytes: 10 })) };
  if (kind === "text")
    return { [hub]: { ...common, holds: "file", weightBytes: 0, resolvedAt: locked().resolvedAt } };
  return { [hub]: { ...locked(), ...common } };
}

const entryOf = (engine: string, key: string, kind: FileKind, text: string) => ({
  ...{ engine, ...entries[engine] },
  [key]: kind === "settings" ? { method: "draft_model", deeply: { model: text } } : text,
});

/** Whether an engine is given a path: as a word of its command, in JSON, or in a file that it reads. */
const isGiven = (path: string, { container, service }: ReturnType<typeof served>) =>
  [...container.command, JSON.stringify(Object.values(service.directory.files).map(({ text }) => text))].some(
    (word) => word.split(/[^\w./-]+/).includes(path),
  );

test("every engine that has a container and keys which name files has an entry here", () => {
  expect([...new Set(all.map(([engine]) => engine))].sort()).toEqual(Object.keys(entries).sort());
});

test.each(all)(
  "%s %s of the hub: its locked files are fetched, mounted, and the engine gets their path",
  (engine, key, kind) => {
    const { hub, hubPath, hubFiles } = kinds[kind];
    const backend = served(entryOf(engine, key, kind, hub), {
      locks: { "hf://acme/m": locked(), ...lockOf(kind) },
    });
    expect(isGiven(hubPath, backend)).toBe(true);
    const fetched = backend.weights.flatMap(({ fetches = [] }) => fetches.map(({ path }) => path));
    expect(fetched.filter((path) => path.startsWith(HUB))).toEqual(hubFiles.map((file) => `${HUB}/${file}`));
    const roots = backend.container.mounts.filter(({ readOnly }) => readOnly).map(({ target }) => target);
    expect(roots.some((root) => hubPath === root || hubPath.startsWith(`${root}/`))).toBe(true);
  },
);

test.each(all)(
  "%s %s of the host: its folder is mounted read-only, and nothing is fetched for it",
  (engine, key, kind) => {
    const { host, hostPath, hostFolder } = kinds[kind];
    const backend = served(entryOf(engine, key, kind, host));
    const without = served({ engine, ...entries[engine] });
    expect(isGiven(hostPath, backend)).toBe(true);
    expect(backend.container.mounts).toContainEqual({
      ...{ kind: "directory", source: hostFolder, target: hostFolder, readOnly: true },
    });
    expect(backend.weights).toEqual(without.weights);
  },
);

test.each(all)(
  "%s %s that the lock has not seen is refused at the key that names it",
  (engine, key, kind) => {
    const { hub } = kinds[kind];
    const at = kind === "settings" ? `${key}.deeply.model` : key;
    expect(refusals(entryOf(engine, key, kind, hub), { locks: { "hf://acme/m": locked() } })).toContain(
      `${at}: ${hub} is not in models.lock.json. Run \`gpubox models lock\`, and commit the file.`,
    );
  },
);

test.each(all.filter(([, , kind]) => kind !== "settings"))(
  "%s %s of another shape is refused",
  (engine, key, kind) => {
    const { wrong, flaw } = kinds[kind];
    expect(refusals(entryOf(engine, key, kind, wrong))).toEqual([
      expect.stringMatching(new RegExp(`^${key}: "${wrong}" ${flaw} Write `)),
    ]);
  },
);

const paths = all.filter(([, , kind]) => kind !== "gguf");

test.each(paths)(
  "%s %s with a path that no mount brings is refused with both ways out",
  (engine, key, kind) => {
    const at = kind === "settings" ? `${key}.deeply.model` : key;
    expect(refusals(entryOf(engine, key, kind, "/data/side/x"))).toEqual([
      `${at}: No mount of its container brings /data/side/x. Write file:///data/side/x, or declare the mount: mounts: [{ source: /data/side/x }].`,
    ]);
  },
);

test.each(paths)(
  "%s %s with a path below a declared mount, or in the image, is taken as it is",
  (engine, key, kind) => {
    const mounts = [{ source: "/srv/far", target: "/data/side" }];
    const backend = served({ ...entryOf(engine, key, kind, "/data/side/x"), mounts });
    expect(isGiven("/data/side/x", backend)).toBe(true);
    expect(backend.container.mounts).toContainEqual({
      ...{ kind: "directory", source: "/srv/far", target: "/data/side", readOnly: true },
    });
    expect(refusals(entryOf(engine, key, kind, "/opt/side/x"))).toEqual([]);
  },
);

const texts = all.filter(([, , kind]) => kind === "text");

test.each(texts)(
  "%s %s beside the stack file is shipped, and a changed text is another container",
  (engine, key) => {
    const entry = entryOf(engine, key, "text", "./prompts/x.jinja");
    const [one, other] = ["{{ one }}", "{{ other }}"].map((text) =>
      served(entry, { ownFiles: { "./prompts/x.jinja": { text } } }),
    );
    const [name] = Object.keys(one!.service.directory.files).filter((file) => file.endsWith("-x.jinja"));
    expect(one!.service.directory.files[name!]).toEqual({ text: ["{{ one }}"], mode: "0640" });
    expect(isGiven(`/etc/gpubox/${name}`, one!)).toBe(true);
    expect(one!.container.labels["gpubox.spec"]).not.toBe(other!.container.labels["gpubox.spec"]);
  },
);

test.each(texts)("%s %s that is not beside the stack file is refused at its key", (engine, key) => {
  const what = { what: "./x.jinja cannot be read (ENOENT).", fix: "Check whether it exists." };
  expect(refusals(entryOf(engine, key, "text", "./x.jinja"), { ownFiles: { "./x.jinja": what } })).toEqual([
    `${key}: ./x.jinja cannot be read (ENOENT). Check whether it exists.`,
  ]);
});

test("a draft model counts on the GPU, a tokenizer in a whole model's repository does not", () => {
  const draft = locked({}, 60_000_000_000);
  const entry = { engine: "vllm", model: "hf://acme/m", gpu: { devices: [2] } };
  const locks = { "hf://acme/m": locked({}, 8_000_000_000), "hf://acme/side": draft };
  expect(refusals({ ...entry, tokenizer: "hf://acme/side" }, { locks })).toEqual([]);
  expect(
    refusals({ ...entry, speculativeConfig: { method: "draft_model", model: "hf://acme/side" } }, { locks }),
  ).toHaveLength(1);
});

test("a hub name without its scheme is refused where the engine would ask the hub, which it cannot reach", () => {
  expect(
    refusals({
      engine: "vllm",
      ...entries.vllm,
      speculativeConfig: { method: "eagle3", model: "acme/draft" },
    }),
  ).toEqual([
    'speculativeConfig.model: The engine has no way to a hub, where "acme/draft" would be. Write hf://acme/draft.',
  ]);
});

test("each variant of a path in a flag or a variable is found, and none that the container has", () => {
  const base = { engine: "llamacpp", ...entries.llamacpp };
  const found = (more: Record<string, unknown>) =>
    refusals({ ...base, ...more }).map((one) =>
      /^(\S+): No mount of its container brings (\S+)\. /.exec(one)?.slice(1),
    );
  expect(found({ extraArgs: ["--control-vector", "/srv/v/a.gguf"] })).toEqual([
    ["extraArgs", "/srv/v/a.gguf"],
  ]);
  expect(found({ extraArgs: ["--control-vector=/srv/v/a.gguf,/srv/w/b.gguf"] })).toEqual([
    ["extraArgs", "/srv/v/a.gguf"],
    ["extraArgs", "/srv/w/b.gguf"],
  ]);
  expect(found({ extraArgs: ["--lora-scaled", "/data/a.gguf:0.5"] })).toEqual([
    ["extraArgs", "/data/a.gguf"],
  ]);
  expect(found({ extraArgs: ["--x", '{"a": {"b": ["/data/c"]}}'] })).toEqual([["extraArgs", "/data/c"]]);
  expect(found({ env: { LD_LIBRARY_PATH: "/usr/lib:/srv/lib" } })).toEqual([
    ["env.LD_LIBRARY_PATH", "/srv/lib"],
  ]);
  expect(
    found({
      extraArgs: [
        ...[
          "--api-prefix",
          "/llm",
          "--log-file",
          "/tmp/log",
          "--slot-save-path=/dev/shm",
          "-x",
          "/srv/models/n.gguf",
        ],
        ...[
          "--grammar",
          'root ::= "/" [a-z]+',
          "--media-url",
          "http://h/x",
          "--y",
          "/srv/gpubox/models/hf/a",
        ],
      ],
      env: { LLAMA_ARG_API_PREFIX: "/llm", CACHE: "/root/.cache/x" },
    }),
  ).toEqual([]);
});

test("a file beside the stack file is one below it", () => {
  for (const text of ["./../x.jinja", "../x.jinja", "./a/../../x", "./.ssh/id", "x.jinja"])
    expect(refusals({ engine: "vllm", ...entries.vllm, chatTemplate: text })).toEqual([
      expect.stringMatching(/^chatTemplate: .* Write hf:\/\/owner\/repo\[@revision]\/file/),
    ]);
});
