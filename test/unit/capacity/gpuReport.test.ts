import { memoryOfEntry } from "../../../configs/capacity/entries";
import { planGpus } from "../../../configs/capacity/placement";
import { planData, planText } from "../../../configs/capacity/report";
import { demand, gpu, model } from "../../support/demands";

const gpus = [gpu(0, 80), gpu(1, 24)];
const demands = [
  demand("coder", { engine: "vllm", maxModelLen: 32768 }),
  demand("small", { engine: "llamacpp", ctxSize: 8192 }, { devices: [1] }),
  demand("giant", { engine: "vllm", maxModelLen: 8192 }, { start: "manual", locked: model(60) }),
];

test("the plan shows model, device, needs, share and left, and what stops for a model that is started by hand", () => {
  const text = planText(planGpus(gpus, demands));
  expect(text.split("\n").slice(0, 5)).toEqual([
    "MODEL    DEVICE      NEEDS      SHARE       LEFT",
    "coder    0       22.64 GiB  76.00 GiB",
    "reserve  0                   4.00 GiB    0.0 MiB",
    "small    1        9.36 GiB   9.36 GiB",
    "reserve  1                   1.20 GiB  13.44 GiB",
  ]);
  expect(text).toContain("giant is started by hand; stop coder first. Its devices then:\n");
  expect(text).toMatch(
    /^coder: --gpu-memory-utilization 0\.9426, --kv-cache-memory-bytes \d+, --max-num-seqs 256, --max-num-batched-tokens 8192$/m,
  );
});

test("models that take turns are listed with their slot, and together count as the largest", () => {
  const turns = ["a", "b"].map((name, index) =>
    demand(name, { engine: "encoder" }, { start: "ondemand", group: "big", memoryGiB: 20 + 10 * index }),
  );
  const plan = planGpus([gpu(0, 80)], turns);
  expect(planText(plan)).toMatch(/^a \(slot big\) .*\nb \(slot big\) .*\nreserve .* 46\.00 GiB$/m);
});

test("the sums are shown on demand", () => {
  const plan = planGpus(gpus, demands);
  expect(planText(plan)).not.toContain("weights (bfloat16)");
  expect(planText(plan, { explain: true })).toContain(
    "coder on device 0:\n     15.00 GiB  weights (bfloat16)\n",
  );
});

test("the plan for programs has bytes", () => {
  const { devices, problems } = planData(planGpus(gpus, demands));
  expect(devices[0]).toMatchObject({ id: 0, totalBytes: 80 * 2 ** 30, leftBytes: 0 });
  expect(problems).toEqual([]);
});

test("settings without influence on memory are not part of a demand", () => {
  expect(memoryOfEntry({ engine: "llamacpp", ctxSize: 4096, threads: 8, aliases: ["x"] })).toEqual({
    engine: "llamacpp",
    ctxSize: 4096,
  });
});
