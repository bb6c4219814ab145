import type { GpuDemand, LlamaCppMemory } from "../../../configs/capacity/demand";
import { memoryNeed } from "../../../configs/capacity/memory";
import { demand, gpu, model } from "../../support/demands";
import { refusals, served } from "../../support/engines";

const GIB = 2 ** 30;

const llamacpp = { engine: "llamacpp", model: "hf://org/m-GGUF/m.gguf", ctxSize: 32768 };

describe("a model that drafts for llama.cpp", () => {
  const small = model(1, { layers: 16, attention: [{ ...model().shape.attention[0]!, layers: 16 }] }, "gguf");
  const of = (draft?: Partial<NonNullable<GpuDemand["draft"]>>, engine: Partial<LlamaCppMemory> = {}) =>
    memoryNeed(
      demand(
        "m",
        { engine: "llamacpp", ctxSize: 32768, parallel: 2, ...engine },
        draft ? { draft: { locked: small, ...draft } } : {},
      ),
      gpu(0, 80),
    );

  test("takes its weights, a cache as long as the model's, and a buffer of its own", () => {
    const added = of({}).lines.filter(({ label }) => label.startsWith("draft model: "));
    expect(added.map(({ label, bytes }) => [label.slice(13, 21), bytes])).toEqual([
      ["weights ", Math.ceil(0.9 * GIB)],
      ["weights ", expect.closeTo(0.05 * GIB, -1)],
      // 16 layers × 2 slots of 16384 cells × 8 heads × (128 + 128) × 2 bytes.
      ["KV cache", 16 * 32768 * 8 * 256 * 2],
      ["workspac", expect.any(Number)],
      ["compute ", expect.any(Number)],
    ]);
    expect(of({}).bytes - of().bytes).toBe(added.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  test("takes as much less as its own flags say", () => {
    const kv = (need: ReturnType<typeof of>) =>
      need.lines.find(({ label }) => label.startsWith("draft model: KV"))!.bytes;
    expect(kv(of({ cacheTypeK: "q8_0", cacheTypeV: "q8_0" })) / kv(of({}))).toBeCloseTo(34 / 64, 5);
    expect(kv(of({ nGpuLayers: 4 })) / kv(of({}))).toBe(1 / 4);
    expect(of({}, { kvOffload: false }).hostBytes).toBe(of({}).kvBytes + kv(of({})));
  });

  test("is read from the entry's keys and flags", () => {
    const draft = "hf://org/draft-GGUF/draft.gguf";
    const whole = { ...llamacpp, gpu: { devices: [0] }, model: "hf://org/m-GGUF/m.gguf", modelDraft: draft };
    const locks = { [draft]: small };
    const mib = (more: object) =>
      served({ ...whole, ...more }, { lock: model(8, {}, "gguf"), locks }).needs![0]!.mib;
    expect(mib({ nGpuLayersDraft: 0 })).toBeLessThan(mib({}) - 2000);
    expect(mib({ extraArgs: ["-ngld", "0"] })).toBe(mib({ nGpuLayersDraft: 0 }));
    expect(mib({ env: { LLAMA_ARG_N_GPU_LAYERS_DRAFT: "0" } })).toBe(mib({ nGpuLayersDraft: 0 }));
  });
});

describe("parts of several devices", () => {
  const on = (engine: Partial<LlamaCppMemory>) =>
    [0, 1].map((id) =>
      memoryNeed(
        demand("m", { engine: "llamacpp", ctxSize: 32768, ...engine }, { devices: [0, 1] }),
        gpu(id, 24),
      ),
    );

  test("divide layers, cache and output as llama.cpp does", () => {
    const [large, small] = on({ tensorSplit: [3, 1] });
    // Places 0 to 24 of 33 lie below three quarters: 25 layers, and 7 with the output.
    expect(large!.lines[0]!.bytes).toBeCloseTo((8 * GIB * 0.9 * 25) / 32, -1);
    expect(small!.lines.slice(0, 2).map(({ bytes }) => bytes)).toEqual([
      expect.closeTo((8 * GIB * 0.9 * 7) / 32, -1),
      expect.closeTo(8 * GIB * 0.05, -1),
    ]);
    expect([large!.kvBytes, small!.kvBytes]).toEqual([25, 7].map((layers) => layers * 32768 * 8 * 256 * 2));
    expect(large!.lines[0]!.label).toContain("split over 2 devices by 3:1");
  });

  test("reach llama.cpp once, by the key or by the flag", () => {
    const both = { engine: "llamacpp", model: "hf://org/m-GGUF/m.gguf", gpu: { devices: [0, 1] } };
    const split = (more: object) => {
      const { command } = served({ ...both, ...more }, { lock: model(8, {}, "gguf") }).container;
      return command.flatMap((word, at) =>
        ["--tensor-split", "-ts"].includes(word) ? [command[at + 1]] : [],
      );
    };
    expect(split({})).toEqual(["1,1"]);
    expect(split({ tensorSplit: [3, 1] })).toEqual(["3,1"]);
    expect(split({ extraArgs: ["-ts", "3,1"] })).toEqual(["3,1"]);
  });

  test.each([
    [
      { tensorSplit: [3, 1, 1] },
      "tensorSplit: It has 3 parts for 2 devices. Write one part for each of gpu.devices, in their order.",
    ],
    [
      { extraArgs: ["-ts", "1,1,1"] },
      "tensorSplit: It has 3 parts for 2 devices. Write one part for each of gpu.devices, in their order.",
    ],
    [
      { extraArgs: ["-sm", "none"] },
      'extraArgs: "-sm none" puts the whole model on one of its 2 devices. Name only that device in gpu.devices, and leave the flag out.',
    ],
    [
      { splitMode: "none" },
      'splitMode: "none" is not valid. Write layer, row or tensor. For one device in place of "none", name only it in gpu.devices.',
    ],
  ])("that do not suit the entry are refused: %j", (more, refusal) => {
    expect(
      refusals({ ...llamacpp, gpu: { devices: [0, 1] }, ...more }, { lock: model(8, {}, "gguf") }),
    ).toEqual([refusal]);
  });
});

describe("groups for attention in SGLang", () => {
  const sglang = { engine: "sglang", model: "hf://o/m", gpu: { devices: [0, 1] } };
  const locked = { ...model(8), format: "safetensors" as const };

  test.each([
    ["today's flag", { extraArgs: ["--attn-dp-size", "2"] }],
    ["its key", { attnDpSize: 2 }],
    ["the older flags", { extraArgs: ["--dp-size", "2", "--enable-dp-attention"] }],
    ["the older flags as keys", { dataParallelSize: 2, enableDpAttention: true }],
  ])("by %s are no copies: both devices share the rest", (_, more) => {
    expect(refusals({ ...sglang, ...more }, { lock: locked })).toEqual([]);
    const { command } = served({ ...sglang, ...more }, { lock: locked }).container;
    expect(command[command.indexOf("--tensor-parallel-size") + 1]).toBe("2");
  });

  test("each keep a whole cache and the weights of attention", () => {
    const need = (attnDpSize: number) =>
      memoryNeed(
        demand("m", { engine: "sglang", contextLength: 8192, attnDpSize }, { devices: [0, 1] }),
        gpu(0, 80),
      );
    const [one, two] = [need(1), need(2)];
    expect(two.kvBytes).toBe(2 * one.kvBytes);
    // 32 layers of 4096 × (32 × 256 + 8 × 256) 16-bit weights: half of them more on each device.
    expect(two.weightBytes - one.weightBytes).toBeCloseTo(
      (32 * 4096 * (32 + 8) * 256 * 2 * (8.05e9 / 8.03e9)) / 2,
      -8,
    );
  });

  test("have to divide the ranks", () => {
    expect(refusals({ ...sglang, attnDpSize: 3 }, { lock: locked })[0]).toMatch(
      /^attnDpSize: 3 groups for attention do not divide (2|its 2) tensor ranks\. Use one of 1, 2\.$/,
    );
  });
});
