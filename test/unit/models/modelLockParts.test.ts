import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { lockedModel, lockedSource } from "../../../configs/models/lock";
import { lockModels } from "../../../operations/models/lockModels";
import { resolveSource } from "../../../operations/models/resolve";
import { readModelLock } from "../../../platform/stack/modelLock";
import { refusals } from "../../support/engines";
import { zeroGguf } from "../../support/gguf";
import { type StubHub, sha256, startHub, zeroSafetensors } from "../../support/hub";

const COMMIT = "a".repeat(40);
const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const weights = zeroSafetensors({
  "model.layers.0.mlp.weight": { dtype: "BF16", shape: [64, 64], bytes: 8192 },
});
const tensor = { name: "v.blk.0.weight", shape: [32, 4], type: "F16" as const };
const projector = zeroGguf({ "general.architecture": "clip", "general.type": "mmproj" }, [tensor]);
const oldProjector = zeroGguf({ "general.architecture": "clip" }, [tensor]);
const adapter = zeroGguf({ "general.architecture": "llama", "general.type": "adapter" }, [tensor]);

const transformers = {
  "config.json": text({
    architectures: ["LlamaForCausalLM"],
    num_hidden_layers: 1,
    hidden_size: 64,
    num_attention_heads: 4,
    max_position_embeddings: 8192,
    torch_dtype: "bfloat16",
  }),
  "model.safetensors": weights,
  "tokenizer.json": text({}),
};
const peft = {
  "adapter_config.json": text({ r: 8 }),
  "adapter_model.safetensors": weights,
  "checkpoint-10/adapter_model.safetensors": weights,
  "README.md": text({}),
};
const whisper = {
  ".gitattributes": text({}),
  "README.md": text({}),
  "config.json": text({}),
  "model.bin": Buffer.alloc(5000),
  "vocabulary.txt": text({}),
};

let hub: StubHub;
const project = () => mkdtempSync(join(tmpdir(), "gpubox-parts-"));

beforeEach(async () => {
  hub = await startHub({
    "acme/files": {
      commit: COMMIT,
      files: { "eyes.gguf": projector, "old.gguf": oldProjector, "lora.gguf": adapter },
    },
    "acme/peft": { commit: COMMIT, files: peft },
    "acme/whisper": { commit: COMMIT, files: whisper },
    "acme/words": {
      commit: COMMIT,
      files: {
        "tokenizer.json": text({}),
        "tokenizer_config.json": text({}),
        "README.md": text({}),
        "x/t.json": text({}),
      },
    },
    "acme/empty": {
      commit: COMMIT,
      files: { "adapter_config.json": text({}), "adapter_model.bin": weights },
    },
  });
});
afterEach(() => hub.close());

test.each([
  ["hf://acme/files/eyes.gguf", "projector", ["eyes.gguf"], 256],
  ["hf://acme/files/old.gguf", "projector", ["old.gguf"], 256],
  ["hf://acme/files/lora.gguf", "adapter", ["lora.gguf"], 256],
  ["hf://acme/peft", "adapter", ["adapter_config.json", "adapter_model.safetensors"], weights.length],
  ["hf://acme/words", "tokenizer", ["tokenizer.json", "tokenizer_config.json"], 0],
  ["hf://acme/words/x/t.json", "file", ["x/t.json"], 0],
  ["hf://acme/whisper", "speech", ["README.md", "config.json", "model.bin", "vocabulary.txt"], 5000],
])(
  "%s is locked as a %s, with its files and the bytes of its weights",
  async (source, holds, paths, bytes) => {
    const dir = project();
    await lockModels(dir, [source], { endpoint: hub.url });
    const lock = readModelLock(dir);
    const found = lockedSource(lock, source)!;
    expect(found).toMatchObject({ holds, revision: COMMIT, weightBytes: bytes });
    expect(found.files.map(({ path }) => path)).toEqual(paths);
    expect(lockedModel(lock, source)).toBeUndefined();
    rmSync(dir, { recursive: true });
  },
);

test("a projector is locked by its hash, as every file of a hub", async () => {
  const { files } = await resolveSource("hf://acme/files/eyes.gguf", { endpoint: hub.url });
  expect(files).toEqual([{ path: "eyes.gguf", bytes: projector.length, sha256: sha256(projector) }]);
});

test("a file of the host that is no GGUF is locked by its size, and one of a hub that it lacks is refused", async () => {
  const dir = project();
  const path = join(dir, "chat.jinja");
  writeFileSync(path, "{{ messages }}");
  const access = { endpoint: hub.url };
  expect(await resolveSource(`file://${path}`, access)).toMatchObject({
    ...{ holds: "file", revision: "", weightBytes: 0, files: [{ path, bytes: 14 }] },
  });
  await expect(resolveSource("hf://acme/words/y.json", access)).rejects.toThrow(
    "acme/words has no file y.json. It has tokenizer.json, tokenizer_config.json, x/t.json.",
  );
  rmSync(dir, { recursive: true });
});

test("an adapter without safetensors is refused", async () => {
  await expect(resolveSource("hf://acme/empty", { endpoint: hub.url })).rejects.toThrow(
    "acme/empty has no safetensors files. Name a repository of safetensors, or a GGUF file.",
  );
});

test.each([
  ["a model", transformers, { format: "safetensors", weightBytes: 8192, shape: { contextLength: 8192 } }],
  ["an adapter", peft, { holds: "adapter", weightBytes: weights.length }],
])(
  "a directory of the host that holds %s is locked from its headers, without a hub",
  async (_, files, known) => {
    const dir = project();
    for (const [path, bytes] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), bytes);
    }
    const found = await resolveSource(`file://${dir}`, { endpoint: "http://127.0.0.1:1" });
    expect(found).toMatchObject({ revision: "", ...known });
    expect(found.files.every(({ path }) => path.startsWith(`${dir}/`))).toBe(true);
    rmSync(dir, { recursive: true });
  },
);

describe("a source is refused at preview", () => {
  const known = (source: string) => resolveSource(source, { endpoint: hub.url });
  const llama = { engine: "llamacpp", model: "file:///srv/models/m.gguf" };
  const fix = "Run `gpubox models lock`, and commit the file.";

  test("when it is not in the lock, whatever key names it", async () => {
    const entry = { ...llama, mmproj: "hf://acme/files/eyes.gguf", lora: ["hf://acme/files/lora.gguf"] };
    expect(refusals(entry, { locks: {} })).toEqual([
      `mmproj: hf://acme/files/eyes.gguf is not in models.lock.json. ${fix}`,
      `lora[0]: hf://acme/files/lora.gguf is not in models.lock.json. ${fix}`,
    ]);
    const locks = {
      "hf://acme/files/eyes.gguf": await known("hf://acme/files/eyes.gguf"),
      "hf://acme/files/lora.gguf": { unresolved: "The hub does not answer." },
    };
    expect(refusals(entry, { locks })).toEqual([]);
  });

  test("when it contains something else than its key needs", async () => {
    const locks = {
      "hf://acme/files/lora.gguf": await known("hf://acme/files/lora.gguf"),
      "hf://acme/whisper": await known("hf://acme/whisper"),
    };
    const list = "`gpubox models list` says what each source is.";
    expect(refusals({ ...llama, mmproj: "hf://acme/files/lora.gguf" }, { locks })).toEqual([
      `mmproj: hf://acme/files/lora.gguf is a LoRA adapter, and this key wants a projector. Name a projector here; ${list}`,
    ]);
    expect(refusals({ engine: "vllm", model: "hf://acme/whisper" }, { locks })).toEqual([
      `model: hf://acme/whisper is a model of CTranslate2 or ONNX, and this key wants a model in safetensors or GGUF. Name a model in safetensors or GGUF here; ${list}`,
    ]);
    expect(refusals({ engine: "speaches", model: "hf://acme/whisper" }, { locks })).toEqual([]);
  });
});
