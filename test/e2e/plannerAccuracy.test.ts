import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GpuDemand, LlamaCppMemory } from "../../configs/capacity/demand";
import { memoryNeed } from "../../configs/capacity/memory";
import { lockedModel } from "../../configs/models/lock";
import { gpuSchema } from "../../configs/schema/gpu";
import { resolveSource } from "../../operations/models/resolve";
import { run } from "../../platform/process";
import { scratch } from "../support/allocate";
import { zeroGguf } from "../support/gguf";
import { orSkip } from "../support/needs";
import { ggufOf, type TestShape } from "../support/shapes";
import { until } from "../support/wait";

const images = spawnSync("docker", [
  "images",
  "--filter=reference=gpubox/llamacpp",
  "--format={{.Repository}}:{{.Tag}}",
]);
const image = images.stdout?.toString().split("\n")[0];

const MIB = 2 ** 20;

/** The log rounds to hundredths of a MiB, so everything that is compared has several MiB. */
const base = {
  architecture: "llama",
  layers: 8,
  hidden: 256,
  heads: 8,
  kvHeads: 8,
  headLength: 32,
  feedForward: 512,
  vocabulary: 2048,
  context: 32768,
  type: "F16",
} as const satisfies TestShape;

type Settings = Omit<LlamaCppMemory, "engine">;

const CASES: [string, TestShape, Settings][] = [
  ["heads that share nothing", base, { ctxSize: 4096 }],
  ["grouped heads, four slots", { ...base, kvHeads: 2 }, { ctxSize: 10000, parallel: 4 }],
  ["a head length of its own", { ...base, kvHeads: 2, headLength: 128 }, { ctxSize: 3000 }],
  [
    "sliding windows, two slots",
    { ...base, architecture: "gemma3", layers: 13, kvHeads: 4, headLength: 64, window: 512, tied: true },
    { ctxSize: 8192, parallel: 2 },
  ],
  [
    "experts",
    { ...base, architecture: "qwen3moe", experts: 8, kvHeads: 4, headLength: 64, type: "Q8_0" },
    { ctxSize: 4096, ubatchSize: 256 },
  ],
  [
    "quantised weights and cache",
    { ...base, hidden: 512, feedForward: 1024, kvHeads: 4, headLength: 64, type: "Q4_0" },
    { ctxSize: 8192, cacheTypeK: "q8_0", cacheTypeV: "q4_0" },
  ],
  [
    "sliding windows in one pool of three slots, quantised",
    { ...base, architecture: "gemma3", layers: 12, kvHeads: 4, headLength: 64, window: 512, tied: true },
    { ctxSize: 8000, parallel: 3, kvUnified: true, cacheTypeK: "q8_0", cacheTypeV: "q8_0" },
  ],
  [
    "sliding windows kept whole",
    { ...base, architecture: "gemma3", layers: 6, kvHeads: 4, headLength: 64, window: 512, tied: true },
    { ctxSize: 8192, swaFull: true },
  ],
];

orSkip(describe, image ? "" : "the image gpubox/llamacpp")(
  "the planner, against llama-server's own load log",
  () => {
    const directory = scratch("planner");
    afterAll(() => rmSync(directory, { recursive: true }));

    test.each(CASES)(
      "%s: weights and KV cache within 1 %, the compute buffer not above the plan",
      async (name, shape, settings) => {
        const file = `${name.replace(/\W+/g, "-")}.gguf`;
        const { metadata, tensors } = ggufOf(shape);
        writeFileSync(join(directory, file), zeroGguf(metadata, tensors));
        const log = await loadLog(directory, file, settings);
        const { lines, weightBytes, kvBytes } = await predicted(join(directory, file), settings);

        expect(within(weightBytes, mebibytes(log, /file size += +([\d.]+) MiB/g))).toBeLessThan(0.01);
        // The CPU keeps a second copy of 4-bit weights in another order; a GPU does not.
        if (!log.includes("CPU_REPACK model buffer"))
          expect(within(weightBytes, mebibytes(log, /model buffer size = +([\d.]+) MiB/g))).toBeLessThan(
            0.01,
          );
        expect(within(kvBytes, mebibytes(log, /KV buffer size = +([\d.]+) MiB/g))).toBeLessThan(0.01);

        const compute = lines.find(({ label }) => label.startsWith("compute buffer"))!;
        expect(mebibytes(log, /compute buffer size = +([\d.]+) MiB/g) * MIB).toBeLessThanOrEqual(
          compute.bytes,
        );
      },
      60_000,
    );
  },
);

/** What the planner says, where weights that stay on the host count too. */
async function predicted(path: string, settings: Settings) {
  const device = gpuSchema.parse({ id: 0, memoryGiB: 16, unified: true });
  const source = `file://${path}`;
  const demand: GpuDemand = {
    model: "test",
    path: "gpubox:models.test",
    devices: [0],
    start: "auto",
    locked: lockedModel({ [source]: await resolveSource(source, {}) }, source)!,
    engine: { engine: "llamacpp", ...settings },
  };
  return memoryNeed(demand, device);
}

/** Loads the model in a real server and returns what it said until it served. */
async function loadLog(directory: string, file: string, settings: Settings): Promise<string> {
  const {
    ctxSize,
    parallel = 1,
    kvUnified,
    cacheTypeK = "f16",
    cacheTypeV = "f16",
    ubatchSize = 512,
  } = settings;
  const container = `planner-accuracy-${process.pid}`;
  const flags = [
    ...[
      "--model",
      `/models/${file}`,
      "--ctx-size",
      ctxSize,
      "--parallel",
      parallel,
      "--ubatch-size",
      ubatchSize,
    ],
    ...["--cache-type-k", cacheTypeK, "--cache-type-v", cacheTypeV],
    ...(kvUnified ? ["--kv-unified"] : []),
    ...(settings.swaFull ? ["--swa-full"] : []),
    // The level that names the buffers.
    ...["--fit", "off", "--no-warmup", "--verbosity", 4],
  ].map(String);
  const options = ["--rm", "--detach", "--name", container, "--volume", `${directory}:/models:ro`];
  const started = await run("docker", ["run", ...options, image!, ...flags]);
  if (started.code !== 0) throw new Error(started.stderr);
  try {
    return await until("llama-server serves", async () => {
      const { stdout, stderr, code } = await run("docker", ["logs", container]);
      const log = stdout + stderr;
      if (log.includes("llama-server: serving")) return log;
      if (code !== 0) throw new Error(`llama-server ended: ${log}`);
      return undefined;
    });
  } finally {
    await run("docker", ["rm", "--force", container]);
  }
}

/** Sum of what a pattern finds. The same line for two caches is two caches. */
function mebibytes(log: string, pattern: RegExp): number {
  const found = [...log.matchAll(pattern)].map((match) => Number(match[1]));
  if (found.length === 0) throw new Error(`the log has no ${pattern}:\n${log}`);
  return found.reduce((total, value) => total + value, 0);
}

/** Deviation of a prediction in bytes from what was logged in MiB. */
function within(bytes: number, logged: number): number {
  return Math.abs(bytes / MIB - logged) / logged;
}
