import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  lockedModel,
  lockProblems,
  modelLockSchema,
  notLocked,
  whyUnresolved,
} from "../../../configs/models/lock";
import { lockModels } from "../../../operations/models/lockModels";
import { resolveSource } from "../../../operations/models/resolve";
import { readModelLock } from "../../../platform/stack/modelLock";
import { sourcesOfStack } from "../../../platform/stack/modelSources";
import { scratch } from "../../support/allocate";
import { zeroGguf } from "../../support/gguf";
import { type StubHub, sha256, startHub, zeroSafetensors } from "../../support/hub";
import { ggufOf, type TestShape } from "../../support/shapes";

const COMMIT = "a".repeat(40);
const NEXT_COMMIT = "b".repeat(40);

const shape: TestShape = {
  architecture: "llama",
  layers: 2,
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headLength: 16,
  feedForward: 128,
  vocabulary: 300,
  context: 4096,
  type: "Q8_0",
};

const gguf = (() => {
  const { metadata, tensors } = ggufOf(shape);
  return zeroGguf(metadata, tensors);
})();

/** The tensors of `shape` counted by hand: Q8_0 has 34 bytes for 32 elements, norms are 4 bytes an element. */
const LAYER = ((64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 128) / 32) * 34 + 2 * 64 * 4;
const EMBEDDING = ((64 * 300) / 32) * 34;

const config = {
  architectures: ["LlamaForCausalLM"],
  num_hidden_layers: 2,
  hidden_size: 64,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 8192,
  vocab_size: 300,
  torch_dtype: "bfloat16",
};

const shard = (layer: number) =>
  zeroSafetensors({ [`model.layers.${layer}.mlp.weight`]: { dtype: "BF16", shape: [64, 64], bytes: 8192 } });

let hub: StubHub;

beforeEach(async () => {
  const shards = { "m-00001-of-00002.safetensors": shard(0), "m-00002-of-00002.safetensors": shard(1) };
  hub = await startHub({
    "acme/tiny-GGUF": { commit: COMMIT, files: { "README.md": Buffer.from("x"), "tiny-q8.gguf": gguf } },
    "acme/tiny": {
      commit: COMMIT,
      files: {
        "config.json": Buffer.from(JSON.stringify(config)),
        "model.safetensors.index.json": Buffer.from(
          JSON.stringify({
            metadata: {},
            weight_map: {
              "model.layers.0.mlp.weight": "m-00001-of-00002.safetensors",
              "model.layers.1.mlp.weight": "m-00002-of-00002.safetensors",
            },
          }),
        ),
        ...shards,
        "pytorch_model.bin": Buffer.alloc(100),
        "onnx/config.json": Buffer.from("{}"),
        "tokenizer.json": Buffer.from("{}"),
      },
    },
    "acme/gated": { commit: COMMIT, files: { "tiny-q8.gguf": gguf }, token: "hf_PLANTED" },
  });
});

afterEach(() => hub.close());

const project = () => scratch("lock");
const access = () => ({ endpoint: hub.url });

test("a GGUF of the hub is locked with commit, size, hash and every byte of its tensors", async () => {
  const model = await resolveSource("hf://acme/tiny-GGUF@main/tiny-q8.gguf", access());
  expect(model).toMatchObject({
    revision: COMMIT,
    format: "gguf",
    files: [{ path: "tiny-q8.gguf", bytes: gguf.length, sha256: sha256(gguf) }],
    weightBytes: 2 * LAYER + 2 * EMBEDDING + 64 * 4,
    layerBytes: 2 * LAYER,
    inputBytes: EMBEDDING,
    quantization: "Q8_0",
  });
  expect(model).toMatchObject({
    shape: {
      architecture: "llama",
      contextLength: 4096,
      layers: 2,
      attentionHeads: 4,
      vocabularySize: 300,
      attention: [{ layers: 2, kind: "full", kvHeads: 2, keyLength: 16, valueLength: 16 }],
    },
  });
});

test("headers are read, not weights", async () => {
  const heavy = ggufOf({ ...shape, hidden: 512, feedForward: 4096, layers: 16, vocabulary: 2000 });
  hub.repositories["acme/tiny-GGUF"]!.files["heavy.gguf"] = zeroGguf(heavy.metadata, heavy.tensors);
  const model = await resolveSource("hf://acme/tiny-GGUF/heavy.gguf", access());
  expect(model.weightBytes).toBeGreaterThan(100e6);
  // The library reads a header in pieces of 2 MB.
  expect(hub.sent.bytes).toBeLessThan(2.1e6);
});

test("all shards of a GGUF are locked, and their tensors count once", async () => {
  const { metadata, tensors } = ggufOf(shape);
  const files = hub.repositories["acme/tiny-GGUF"]!.files;
  files["big-00001-of-00002.gguf"] = zeroGguf(metadata, tensors.slice(0, 5));
  files["big-00002-of-00002.gguf"] = zeroGguf({ "split.no": 1 }, tensors.slice(5));
  const model = await resolveSource("hf://acme/tiny-GGUF/big-00001-of-00002.gguf", access());
  expect(model.files.map(({ path }) => path)).toEqual(["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"]);
  expect(model.weightBytes).toBe(2 * LAYER + 2 * EMBEDDING + 64 * 4);
});

test("a safetensors repository is locked by its headers, without other formats", async () => {
  const model = await resolveSource("hf://acme/tiny", access());
  expect(model.files.map(({ path }) => path)).toEqual([
    "config.json",
    "m-00001-of-00002.safetensors",
    "m-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
  ]);
  expect(model).toMatchObject({
    format: "safetensors",
    weightBytes: 16384,
    layerBytes: 16384,
    quantization: "bfloat16",
    shape: { parameters: 8192, contextLength: 8192, task: "chat" },
  });
});

test("a file of this machine is locked without a hub", async () => {
  const path = join(project(), "own.gguf");
  writeFileSync(path, gguf);
  const model = await resolveSource(`file://${path}`, { endpoint: "http://127.0.0.1:1" });
  expect(model).toMatchObject({ revision: "", files: [{ path, bytes: gguf.length }], quantization: "Q8_0" });
});

test.each([
  ["hf://acme/none", /The hub has no acme\/none/],
  ["hf://acme/tiny-GGUF/other.gguf", /no file other\.gguf.*tiny-q8\.gguf/],
  ["hf://acme/tiny-GGUF", /no safetensors files.*tiny-q8\.gguf/],
  ["hf://acme/gated/tiny-q8.gguf", /does not let anybody read.*--secret gpubox:hfToken/],
  ["file:///nowhere/own.gguf", /not on this machine/],
  ["nonsense", /is not a source of a model/],
])("%s is refused with what to do", async (source, message) => {
  await expect(resolveSource(source, access())).rejects.toThrow(message);
});

test("a token opens a gated repository, and does not go to the host that delivers its files", async () => {
  const { token: _, ...open } = hub.repositories["acme/gated"]!;
  const delivery = await startHub({ "acme/gated": open });
  hub.repositories["acme/gated"]!.deliveredBy = delivery.url;
  try {
    const model = await resolveSource("hf://acme/gated/tiny-q8.gguf", { ...access(), token: "hf_PLANTED" });
    expect(model.revision).toBe(COMMIT);
    expect(JSON.stringify(model)).not.toContain("PLANTED");
    expect(hub.authorizations).toContain("Bearer hf_PLANTED");
    expect(delivery.sent.bytes).toBeGreaterThan(0);
    expect(delivery.authorizations).toEqual([]);
  } finally {
    await delivery.close();
  }
});

test("a refused token is not part of the error", async () => {
  const wrong = { ...access(), token: "hf_WRONG" };
  const error: unknown = await resolveSource("hf://acme/gated/tiny-q8.gguf", wrong).catch((thrown) => thrown);
  expect(String(error)).toContain("does not let this token read");
  expect(String(error)).not.toContain("WRONG");
});

test("an entry with an unchanged revision stays exactly as it is, and its model is not read again", async () => {
  const dir = project();
  const source = "hf://acme/tiny-GGUF/tiny-q8.gguf";
  await lockModels(dir, [source], access());
  const before = readFileSync(join(dir, "models.lock.json"), "utf8");
  hub.requests.length = 0;
  const [change] = await lockModels(dir, [source], access());
  expect(change!.after).toBe(change!.before);
  expect(readFileSync(join(dir, "models.lock.json"), "utf8")).toBe(before);
  expect(hub.requests.filter((request) => request.includes("/resolve/"))).toEqual([]);
});

test("a new revision replaces the entry; a pinned one stays", async () => {
  const dir = project();
  const moving = "hf://acme/tiny-GGUF/tiny-q8.gguf";
  const pinned = `hf://acme/tiny-GGUF@${COMMIT}/tiny-q8.gguf`;
  await lockModels(dir, [moving, pinned], access());
  hub.repositories["acme/tiny-GGUF"]!.commit = NEXT_COMMIT;
  const changes = await lockModels(dir, [moving, pinned], access());
  expect(changes.map(({ before, after }) => [before?.revision, after?.revision])).toEqual([
    [COMMIT, NEXT_COMMIT],
    [COMMIT, COMMIT],
  ]);
});

test("a source that cannot be resolved keeps its entry, and the others are locked", async () => {
  const dir = project();
  await lockModels(dir, ["hf://acme/tiny"], access());
  delete hub.repositories["acme/tiny"];
  const changes = await lockModels(dir, ["hf://acme/tiny", "hf://acme/tiny-GGUF/tiny-q8.gguf"], access());
  expect(changes[0]).toMatchObject({ failure: expect.stringContaining("The hub has no acme/tiny") });
  expect(Object.keys(readModelLock(dir))).toEqual(["hf://acme/tiny", "hf://acme/tiny-GGUF/tiny-q8.gguf"]);
});

test("a source that was never resolved is in the lock with the reason", async () => {
  const dir = project();
  await lockModels(dir, ["hf://acme/none"], access());
  const lock = readModelLock(dir);
  expect(lockedModel(lock, "hf://acme/none")).toBeUndefined();
  expect(whyUnresolved(lock, "hf://acme/none")).toContain("The hub has no acme/none");
  const wanted = (source: string) => ({ path: "gpubox:models.m.model", source, holds: "model" as const });
  expect(lockProblems([wanted("hf://acme/none"), wanted("hf://acme/other")], lock)).toEqual([
    {
      path: "gpubox:models.m.model",
      what: "hf://acme/other is not in models.lock.json.",
      fix: "Run `gpubox models lock`, and commit the file.",
    },
  ]);
});

test("a lock with an unknown key is refused with a way back", () => {
  const dir = project();
  writeFileSync(
    join(dir, "models.lock.json"),
    JSON.stringify({ "hf://a/b": { revision: "x", typed: true } }),
  );
  expect(() => readModelLock(dir)).toThrow(/models\.lock\.json is not valid: .*Restore it from git/);
});

test("what is resolved satisfies the schema of the lock", async () => {
  const source = "hf://acme/tiny";
  const lock = { [source]: await resolveSource(source, access()) };
  expect(modelLockSchema.parse(lock)).toEqual(lock);
  expect(lockedModel(lock, "toString")).toBeUndefined();
});

test("a model that is not in the lock is a problem with a path and a fix", () => {
  expect(notLocked("gpubox:models.a.model", "hf://a/b")).toEqual({
    path: "gpubox:models.a.model",
    what: "hf://a/b is not in models.lock.json.",
    fix: "Run `gpubox models lock`, and commit the file.",
  });
});

test("the sources of a stack are found under every key", () => {
  const dir = project();
  writeFileSync(
    join(dir, "Pulumi.x.yaml"),
    "config:\n  gpubox:models:\n    a: { engine: llamacpp, model: canned }\n" +
      "    b: { engine: vllm, model: hf://o/r, mmproj: hf://o/r/mm.gguf }\n    c: { engine: vllm, model: hf://o/r }\n",
  );
  expect(sourcesOfStack(dir, "x")).toEqual(["hf://o/r", "hf://o/r/mm.gguf"]);
});
