import type { LlamaCppMemory } from "../../../configs/capacity/demand";
import { explained } from "../../../configs/capacity/lines";
import { memoryNeed } from "../../../configs/capacity/memory";
import { gpuNotes } from "../../../configs/capacity/notes";
import { planGpus } from "../../../configs/capacity/placement";
import type { LockedModel } from "../../../configs/models/facts";
import { demand, gpu, model } from "../../support/demands";
import { refusals, served } from "../../support/engines";

const GIB = 2 ** 30;
const LAYERS = 36;

/** A mixture of experts of 62.8 GB, of which the experts have 60.0: gpt-oss-120b in its own 4 bits. */
const moe: LockedModel = {
  ...model(62.8e9 / GIB, {}, "gguf"),
  layerBytes: 61.7e9,
  inputBytes: 0.5e9,
  experts: ["ffn_down_exps", "ffn_gate_exps", "ffn_up_exps"].map((tensor) => ({
    tensor,
    first: 0,
    layers: LAYERS,
    bytes: 60e9 / LAYERS / 3,
  })),
  shape: {
    ...model().shape,
    ...{
      architecture: "gpt-oss",
      contextLength: 131072,
      layers: LAYERS,
      hiddenSize: 2880,
      attentionHeads: 64,
    },
    ...{ experts: 128, vocabularySize: 201088, parameters: 117e9 },
    attention: [{ layers: LAYERS, kind: "full", kvHeads: 8, keyLength: 64, valueLength: 64 }],
  },
};
const { experts: _, ...unknownExperts } = moe;

const entry = {
  engine: "llamacpp",
  model: "hf://org/moe-GGUF/moe.gguf",
  gpu: { devices: [2] },
  ctxSize: 32768,
};
const lock = moe;

const need = (engine: Partial<LlamaCppMemory>, locked: LockedModel = moe, devices = [0]) =>
  devices.map((id) =>
    memoryNeed(
      demand("m", { engine: "llamacpp", ctxSize: 32768, parallel: 2, ...engine }, { devices, locked }),
      gpu(id, 24),
    ),
  );

describe("experts of 28 of 36 layers in the host's memory", () => {
  test.each([
    ["by its key", { nCpuMoe: 28 }],
    ["by its flag", { extraArgs: ["--n-cpu-moe", "28"] }],
    ["by its short flag", { extraArgs: ["-ncmoe", "28"] }],
    ["by its flag with underscores", { extraArgs: ["--n_cpu_moe", "28"] }],
    ["by its variable", { env: { LLAMA_ARG_N_CPU_MOE: "28" } }],
    ["by a pattern", { extraArgs: ["-ot", "blk\\.([0-9]|1[0-9]|2[0-7])\\.ffn_.*_exps\\.=CPU"] }],
    ["by a list of patterns", { overrideTensor: ["blk\\.([0-9]|1[0-9]|2[0-7])\\.ffn_.*_exps\\.=CPU"] }],
  ])("%s make a model of 62.8 GB fit on a device of 24 GiB", (_, more) => {
    expect(refusals({ ...entry, ...more }, { lock })).toEqual([]);
    const { needs, container } = served({ ...entry, ...more }, { lock });
    expect(needs![0]!.mib).toBeLessThan(24 * 1024 * 0.95);
    // 46.67 GB of experts, an eighth of memoryMiB for prompts, 2 GiB for the program.
    expect(container.memoryMiB).toBe(44_505 + 1024 + 2048);
  });

  test("are not there without the setting, which the refusal says", () => {
    expect(refusals(entry, { lock })[0]).toMatch(/^m?.*needs 6\d\.\d+ GiB on device 2/);
  });

  test("are what its refusal advises, beside every other way", () => {
    const { refusals: found } = planGpus(
      [gpu(0, 24)],
      [demand("m", { engine: "llamacpp", ctxSize: 32768 }, { locked: moe })],
    );
    const [{ problem, advice }] = found as [(typeof found)[0]];
    expect(problem.fix).toMatch(
      /^Set nCpuMoe to \d+: the experts of \d+ of 36 layers stay in the host's memory\.$/,
    );
    expect(planGpus([gpu(0, 24)], [advice.changed!]).refusals).toEqual([]);
    expect(problem.others).toEqual([
      expect.stringMatching(/^It needs a device of \d+\.\d\d GiB for itself, or a smaller model\.$/),
      "Write gpu.memoryGiB: 22.79 or less, if you know that it needs no more: that is taken as it is.",
    ]);
  });

  test("are sized by the model's shape where the lock is older", () => {
    const known = need({ nCpuMoe: 28 })[0]!;
    const guessed = need({ nCpuMoe: 28 }, unknownExperts)[0]!;
    expect(guessed.bytes / known.bytes).toBeCloseTo(1, 1);
    expect(explained(guessed.lines)).toContain("experts, by its shape: ");
  });

  test("leave a limit of the container's memory that is larger as it is", () => {
    expect(served({ ...entry, nCpuMoe: 28, memoryMiB: 98304 }, { lock }).container.memoryMiB).toBe(98304);
  });
});

test.each<[string, Partial<LlamaCppMemory>, number, number]>([
  ["none", {}, 60, 0],
  ["all", { cpuMoe: true }, 0, 60],
  ["those of the first 12 layers", { nCpuMoe: 12 }, 40, 20],
  ["those of no layer that is on the device", { nCpuMoe: 12, nGpuLayers: 13 }, 20, 0],
  ["one tensor of each layer", { overrideTensor: ["ffn_up_exps=CPU"] }, 40, 20],
  [
    "all but what an earlier pattern keeps",
    { overrideTensor: ["blk\\.0\\.=CUDA0", "exps=CPU"] },
    60 / 36,
    (60 * 35) / 36,
  ],
  ["none by a pattern that is no pattern", { overrideTensor: ["(=CPU"] }, 60, 0],
])("a setting that keeps %s in the host's memory divides the experts so", (_, engine, device, host) => {
  const [found] = need(engine);
  // Attention and norms of the layers that are on the device, at 1.7 GB for all of them.
  const layers = engine.nGpuLayers === 13 ? 13 / 36 : 1;
  const output = engine.nGpuLayers === 13 ? 0 : 0.6;
  const line = found!.lines.find(({ label }) => label.startsWith("a copy"))?.bytes ?? 0;
  const weights = (found!.weightBytes - line) / 1e9;
  if (engine.nGpuLayers === undefined) expect(weights).toBeCloseTo(device + 1.7 * layers + output, 1);
  expect(found!.hostBytes / 1e9).toBeCloseTo(host, 1);
});

test("two devices have the experts of the layers that llama.cpp gives each", () => {
  const [first, second] = need({ nCpuMoe: 19 }, moe, [0, 1]);
  // Layers 0 to 18, all of whose experts stay on the host, and 19 to 35 with the output.
  expect(first!.bytes).toBeLessThan(5 * GIB);
  expect(second!.bytes).toBeGreaterThan((17 / 36) * 60e9);
});

test("a batch, full windows and a cache in the host's memory change the need by what they take", () => {
  const [plain, large, host] = [{}, { ubatchSize: 2048 }, { kvOffload: false }].map(
    (engine) => need({ nCpuMoe: 28, ...engine })[0]!,
  );
  expect(large!.bytes - plain!.bytes).toBeGreaterThan(1536 * 201088 * 4);
  expect(plain!.bytes - host!.bytes).toBe(plain!.kvBytes);
  expect(host!.hostBytes - plain!.hostBytes).toBe(plain!.kvBytes);
});

test("a key and its flag together are one too many", () => {
  expect(refusals({ ...entry, nCpuMoe: 28, extraArgs: ["--n-cpu-moe", "30"] }, { lock })).toEqual([
    'nCpuMoe: "--n-cpu-moe" says the same a second time. Leave one of the two out: nCpuMoe, or "--n-cpu-moe".',
  ]);
});

test("copies of a mixture of experts share the experts in vLLM, and are whole in SGLang", () => {
  const locked = { ...moe, format: "safetensors" as const };
  const weights = (engine: "vllm" | "sglang") =>
    memoryNeed(
      demand("m", { engine, tensorParallelSize: 1, dataParallelSize: 2 }, { devices: [0, 1], locked }),
      gpu(0, 80),
    ).weightBytes / 1e9;
  expect(weights("vllm")).toBeCloseTo(32.8, 1);
  expect(weights("sglang")).toBeCloseTo(62.8, 1);
});

test("weights and cache in the host's memory leave the device, unless both are one memory", () => {
  const engine = { engine: "vllm", maxModelLen: 8192, cpuOffloadGb: 10, kvOffloadingSize: 16 } as const;
  const [own, shared] = [gpu(0, 24), gpu(0, 128, { unified: true })].map((device) =>
    memoryNeed(demand("m", engine), device),
  );
  expect(own!.weightBytes).toBe(5 * GIB);
  expect(own!.hostBytes).toBe(26 * GIB);
  expect(shared!.weightBytes).toBe(15 * GIB);
  expect(planGpus([gpu(0, 24)], [demand("m", engine)]).placements[0]!.knobs.hostMiB).toBe(26 * 1024);
});

test("what gpu.memoryGiB says is taken as it is, and the plan says that its own sum is more", () => {
  for (const engine of ["vllm", "sglang"] as const) {
    const plan = planGpus([gpu(0, 24)], [demand("m", { engine }, { memoryGiB: 12 })]);
    expect(plan.problems).toEqual([]);
    expect(plan.placements[0]!.shareBytes).toBe(12 * GIB);
    expect(gpuNotes(plan)).toEqual([
      expect.stringMatching(
        /^m: gpu\.memoryGiB gives it 12\.00 GiB, and the plan's own sum is \d+\.\d\d GiB\. It is taken as it is: /,
      ),
    ]);
  }
  // vLLM finds out by itself what 12 GiB of 24 leave to its cache; 0.6 GiB is its process.
  const { knobs } = planGpus([gpu(0, 24)], [demand("m", { engine: "vllm" }, { memoryGiB: 12 })])
    .placements[0]!;
  expect(knobs.args["--gpu-memory-utilization"]).toBe("0.4755");
  expect(knobs.args).not.toHaveProperty("--kv-cache-memory-bytes");
});

test("what is kept in the host's memory is told with the plan", () => {
  const plan = planGpus(
    [gpu(0, 24)],
    [demand("m", { engine: "llamacpp", ctxSize: 32768, nCpuMoe: 28 }, { locked: moe })],
  );
  expect(gpuNotes(plan)).toEqual([
    "m: its settings keep 43.46 GiB in the host's memory. Its container may have as much, also where memoryMiB is less.",
  ]);
});
