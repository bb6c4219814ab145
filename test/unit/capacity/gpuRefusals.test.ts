import type { GpuDemand } from "../../../configs/capacity/demand";
import { memoryNeed } from "../../../configs/capacity/memory";
import { planGpus } from "../../../configs/capacity/placement";
import type { GpuConfig } from "../../../configs/schema/gpu";
import { demand, gpu, model } from "../../support/demands";

const GIB = 2 ** 30;

describe("a refusal", () => {
  const refusal = (gpus: GpuConfig[], demands: GpuDemand[]) => planGpus(gpus, demands).problems[0]!;

  test("says model, device, what is missing, and the sum line by line", () => {
    const {
      path,
      what,
      details = [],
    } = refusal([gpu(0, 24)], [demand("a", { engine: "llamacpp", ctxSize: 131072 })]);
    expect(path).toBe("gpubox:models.a");
    expect(what).toMatch(
      /^a needs \d+\.\d\d GiB on device 0, and 22\.80 GiB of 24\.00 GiB are left: \d+\.\d\d GiB are missing\.$/,
    );
    expect(details.map((line) => line.trim().replace(/^\S+ \S+ +/, ""))).toEqual([
      "weights (Q8_0) of 32 of 32 layers",
      "weights of the output (Q8_0)",
      "KV cache of 32 full layers: 131072 cells × 1 × 4096 bytes (F16/F16)",
      "process: CUDA context and NCCL",
      "workspace of matrix products",
      "compute buffer: 512 tokens × 16 × 4096 activations, mask of 131072 cells, 1 × 128256 logits",
      "together",
    ]);
  });

  test("names the longest context that fits", () => {
    const { fix } = refusal([gpu(0, 24)], [demand("a", { engine: "llamacpp", ctxSize: 131072 })]);
    const tokens = Number(/^Set ctxSize to (\d+) or less \(it is 131072\)\.$/.exec(fix)?.[1]);
    const bytes = (ctxSize: number) =>
      memoryNeed(demand("a", { engine: "llamacpp", ctxSize }), gpu(0, 24)).bytes;
    expect(bytes(tokens)).toBeLessThanOrEqual(22.8 * GIB);
    expect(bytes(tokens + 256)).toBeGreaterThan(22.8 * GIB);
  });

  test("names another device where no context would fit", () => {
    const gpus = [gpu(0, 24), gpu(1, 80)];
    expect(
      refusal(gpus, [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(30) })]).fix,
    ).toBe("Move it to device 1, which has 76.00 GiB left.");
  });

  test("names a quantisation that fits where no device would do", () => {
    expect(
      refusal(
        [gpu(0, 24)],
        [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(30, { parameters: 15e9 }) })],
      ).fix,
    ).toBe("Use a smaller quantisation of it: fp8, at 8.2 bits a weight, would fit.");
  });

  test("counts the host's reserve where it names a larger box", () => {
    const { fix } = refusal(
      [gpu(0, 8, { unified: true })],
      [demand("a", { engine: "encoder", maxBatchTokens: 512 }, { locked: model(2, { parameters: 1e12 }) })],
    );
    const bytes = memoryNeed(
      demand("a", { engine: "encoder", maxBatchTokens: 512 }, { locked: model(2) }),
      gpu(0, 8),
    ).bytes;
    expect(fix).toBe(
      `It needs a device of ${(Math.ceil((bytes / GIB + 8) * 100) / 100).toFixed(2)} GiB for itself, or a smaller model.`,
    );
  });

  test("names the device that it needs when nothing else helps", () => {
    expect(
      refusal(
        [gpu(0, 8)],
        [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(500, { parameters: 250e9 }) })],
      ).fix,
    ).toMatch(/^It needs a device of \d+\.\d\d GiB for itself, or a smaller model\.$/);
  });

  test("blames a fixed share, not the model, when the planner's own share would fit", () => {
    expect(
      refusal([gpu(0, 80)], [demand("a", { engine: "vllm", maxModelLen: 32768, gpuMemoryUtilization: 0.2 })]),
    ).toMatchObject({
      what: expect.stringMatching(
        /^a needs .* on device 0, and gpuMemoryUtilization gives it 16\.59 GiB: \d+\.\d\d GiB are missing\./,
      ),
      fix: "Leave gpuMemoryUtilization out: the planner's own share fits.",
    });
  });
});

test.each<[string, GpuConfig[], GpuDemand[], string, string]>([
  [
    "a device that the host does not declare",
    [gpu(0, 24)],
    [demand("a", { engine: "vllm" }, { devices: [3] })],
    "gpubox:models.a.gpu.devices",
    "The host declares no device 3.",
  ],
  [
    "a device named twice",
    [gpu(0, 24)],
    [demand("a", { engine: "llamacpp", ctxSize: 512 }, { devices: [0, 0] })],
    "gpubox:models.a.gpu.devices",
    "It names device 0 twice.",
  ],
  [
    "two instances on one device",
    [gpu(0, 80)],
    [
      demand("a", { engine: "vllm" }, { backend: "a-0" }),
      demand("a", { engine: "vllm" }, { backend: "a-1" }),
    ],
    "gpubox:models.a.gpu.devices",
    "a-1 claims device 0, which another instance of a has.",
  ],
  [
    "ranks that are not its devices",
    [gpu(0, 80)],
    [demand("a", { engine: "vllm", tensorParallelSize: 2 })],
    "gpubox:models.a.tensorParallelSize",
    "2 × 1 ranks do not match its 1 devices.",
  ],
  [
    "ranks that do not divide the heads",
    [gpu(0, 80), gpu(1, 80), gpu(2, 80)],
    [demand("a", { engine: "vllm", tensorParallelSize: 3 }, { devices: [0, 1, 2] })],
    "gpubox:models.a.tensorParallelSize",
    "3 does not divide its 32 attention heads.",
  ],
  [
    "a context beyond the model's",
    [gpu(0, 80)],
    [demand("a", { engine: "sglang", contextLength: 200000 })],
    "gpubox:models.a.contextLength",
    "200000 tokens a request are more than the 131072 that the model was trained for.",
  ],
  [
    "a slot's context beyond the model's",
    [gpu(0, 80)],
    [demand("a", { engine: "llamacpp", ctxSize: 300000, parallel: 2 })],
    "gpubox:models.a.ctxSize",
    "150000 tokens a request are more than the 131072 that the model was trained for.",
  ],
  [
    "a GGUF for an engine that cannot read it",
    [gpu(0, 80)],
    [demand("a", { engine: "vllm" }, { locked: model(8, {}, "gguf") })],
    "gpubox:models.a.model",
    "vllm cannot read a GGUF.",
  ],
  [
    "safetensors for llama.cpp",
    [gpu(0, 80)],
    [demand("a", { engine: "llamacpp", ctxSize: 512 }, { locked: model() })],
    "gpubox:models.a.model",
    "llamacpp cannot read safetensors.",
  ],
  [
    "a model over two slices",
    [gpu("MIG-a", 40), gpu("MIG-b", 40)],
    [demand("a", { engine: "vllm", tensorParallelSize: 2 }, { devices: ["MIG-a", "MIG-b"] })],
    "gpubox:models.a.tensorParallelSize",
    "A model cannot be split over MIG slices.",
  ],
])("%s is a mistake before any sum", (_name, gpus, demands, path, what) => {
  expect(planGpus(gpus, demands).problems).toEqual([{ path, what, fix: expect.any(String) }]);
});
