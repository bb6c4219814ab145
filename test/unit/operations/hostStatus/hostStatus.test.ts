import { parseStack } from "../../../../configs/parse";
import { hostStatus } from "../../../../operations/hostStatus/status";
import type { HostContainer, StatusFacts } from "../../../../operations/hostStatus/statusFacts";
import { statusPicture } from "../../../../operations/hostStatus/statusPicture";
import { rawStack, testPlan } from "../../../support/stacks";

const GIB = 2 ** 30;
const NOW = Date.parse("2026-11-30T14:02:11Z") / 1000;

const values = {
  host: {
    gpus: [
      { id: 0, memoryGiB: 24 },
      { id: 1, memoryGiB: 24 },
    ],
  },
  models: {
    far: { engine: "openai", baseUrl: "http://far:9000/v1" },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
    tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" },
  },
};
const config = parseStack(rawStack(values));
const box = testPlan(values);

const container = (role: string, change: Partial<HostContainer> = {}): HostContainer => ({
  ...{
    id: `id-${role}`,
    name: `gpubox-test-${role}`,
    role,
    state: "running",
    health: "healthy",
    exitCode: 0,
  },
  ...{ oomKilled: false, restarts: 0, error: "", networks: [], createdAt: NOW - 86_400, limitBytes: 0 },
  ...change,
});
const gateway = (generation: string, age: number): HostContainer =>
  container("gateway", { name: `gpubox-test-gateway-${generation}`, generation, createdAt: NOW - age });

const facts: StatusFacts = {
  ...{ now: NOW, bootAt: NOW - 196_000, name: "gpu1", system: "Debian GNU/Linux 13 (trixie)", cores: 16 },
  ...{ load: [1.25, 1, 1], docker: { version: "26.1.5" } },
  memory: { totalBytes: 64 * GIB, availableBytes: 48 * GIB, swapBytes: 0, swapFreeBytes: 0 },
  disks: [{ folders: ["/srv/gpubox", "/var/lib/docker"], totalBytes: 1000 * GIB, freeBytes: 250 * GIB }],
  gpus: [
    {
      ...{
        vendor: "nvidia",
        index: "0",
        uuid: "GPU-aa",
        name: "NVIDIA RTX 4090",
        busyPercent: 87,
        celsius: 64,
      },
      ...{ memory: { usedBytes: 18 * GIB, totalBytes: 24 * GIB }, watts: 320.5, wattsLimit: 450 },
    },
  ],
  gpuProcesses: [
    { gpu: "GPU-aa", pid: 7, name: "llama-server", usedMiB: 17_408, container: "id-backend-tiny" },
    { gpu: "GPU-aa", pid: 99, name: "python3", usedMiB: 1024 },
  ],
  containers: [
    container("backend-tiny", {
      ...{ memoryBytes: 1.5 * GIB, limitBytes: 4 * GIB, restarts: 2 },
      memoryKills: { count: 2, limit: "own" },
    }),
    container("backend-giant", { state: "created", health: undefined }),
    container("valve-tiny"),
    gateway("old", 7200),
    gateway("new", 600),
    container("cache"),
    container("edge"),
  ],
  valves: { "valve-tiny": { status: "UP", running: 3, held: 2 } },
  edge: {
    generation: "new",
    gateways: [
      { gateway: "gpubox-test-gateway-old", state: "draining", requests: 1 },
      { gateway: "gpubox-test-gateway-new", state: "serving", requests: 4 },
    ],
  },
};
const seen = (change: Partial<StatusFacts> = {}) =>
  hostStatus(config, box, "ops@gpu1.lan", { ...facts, ...change });

const HEAD = [
  "test on gpu1 (ops@gpu1.lan): Debian GNU/Linux 13 (trixie), Docker 26.1.5, 16 cores, load 1.3   2026-11-30 14:02:11 UTC",
  "booted 2026-11-28 07:35:31 UTC, 2 d 6 h ago; last change 2026-11-30 13:52:11 UTC, 10 min ago: generation new, which serves",
  "",
];
const REST = [
  "GPU 0 is also used by python3 (pid 99), which is not of this box: 1.0 GiB",
  "",
  "MODEL  ENGINE    STATE                                       AT WORK  WAITING  ON GPUS   MEMORY",
  "far    openai    elsewhere                                   –        –        –         –",
  "giant  llamacpp  not started                                 –        –        –         –",
  "tiny   llamacpp  loaded, killed 2 times at its memory limit  3        2        17.0 GiB  1.5 of 4.0 GiB",
  "",
  "queue: 3 at work, 2 waiting",
  "edge healthy, gateway serving + draining, cache healthy",
];

test("a terminal gets bars", () => {
  expect(statusPicture(seen(), true)).toEqual([
    ...HEAD,
    "GPU 0   ███████████████░░░░░  75 %  18.0 of 24.0 GiB     87 % busy  64 °C  321 of 450 W  NVIDIA RTX 4090",
    "GPU 1   is not there",
    "memory  █████░░░░░░░░░░░░░░░  25 %  16.0 of 64.0 GiB",
    "disk    ███████████████░░░░░  75 %  750.0 of 1000.0 GiB  /srv/gpubox and /var/lib/docker",
    ...REST,
  ]);
});

test("anything else gets the same in words", () => {
  expect(statusPicture(seen(), false)).toEqual([
    ...HEAD,
    "GPU 0   75 %  18.0 of 24.0 GiB     87 % busy  64 °C  321 of 450 W  NVIDIA RTX 4090",
    "GPU 1   is not there",
    "memory  25 %  16.0 of 64.0 GiB",
    "disk    75 %  750.0 of 1000.0 GiB  /srv/gpubox and /var/lib/docker",
    ...REST,
  ]);
});

test("a bar's last cell goes by eighths, and a full one has no more cells", () => {
  const bar = (usedBytes: number) => {
    const memory = { ...facts.memory, totalBytes: 800, availableBytes: 800 - usedBytes };
    const line = statusPicture(seen({ memory, gpus: [], disks: [] }), true).find((one) =>
      one.startsWith("memory"),
    );
    return line?.slice(8, 28);
  };
  expect(bar(0)).toBe("░".repeat(20));
  expect(bar(45)).toBe("█▏".padEnd(20, "░"));
  expect(bar(800)).toBe("█".repeat(20));
});

test("a host without an engine that answers, or without a box, says that in place of models' states", () => {
  const empty = { containers: [], valves: {}, edge: undefined };
  const silent = statusPicture(seen({ ...empty, docker: { failed: "Cannot connect." } }), false);
  expect(silent[0]).toContain("Docker does not answer");
  expect(silent.find((line) => line.startsWith("tiny"))).toMatch(/^tiny {3}llamacpp {2}not known/);
  expect(silent.at(-1)).toBe("Docker does not answer: Cannot connect.");
  const bare = statusPicture(seen(empty), false);
  expect(bare[1]).toMatch(/; never brought up$/);
  expect(bare.find((line) => line.startsWith("tiny"))).toMatch(/^tiny {3}llamacpp {2}not brought up/);
  expect(bare.at(-1)).toBe("queue: 0 at work, 0 waiting");
});

test("a driver that fails is said, and its devices are neither there nor gone", () => {
  const lines = statusPicture(seen({ gpus: [], gpusFailed: "GPU is lost." }), false);
  expect(lines.slice(3, 8)).toEqual([
    "GPU 0   its driver gives no figures",
    "GPU 1   its driver gives no figures",
    "memory  25 %  16.0 of 64.0 GiB",
    "disk    75 %  750.0 of 1000.0 GiB    /srv/gpubox and /var/lib/docker",
    "NVIDIA's driver does not answer: GPU is lost.",
  ]);
});

test("what a program on the host calls itself cannot move the cursor", () => {
  const gpuProcesses = [{ gpu: "GPU-aa", pid: 1, name: "\u001b[2Jx", usedMiB: 1024 }];
  const line = statusPicture(seen({ gpuProcesses }), true).find((one) => one.includes("also used"));
  expect(line).toBe("GPU 0 is also used by \\u{001b}[2Jx (pid 1), which is not of this box: 1.0 GiB");
});

test("the document has figures in bytes, and times as ISO 8601 has them", () => {
  expect(seen()).toMatchObject({
    ...{ stack: "test", host: "ops@gpu1.lan", at: "2026-11-30T14:02:11Z" },
    machine: { bootAt: "2026-11-28T07:35:31Z", cores: 16 },
    lastChange: { generation: "new", at: "2026-11-30T13:52:11Z", serves: true },
    queue: { running: 3, waiting: 2 },
    models: [
      { model: "far", memory: null, gpuBytes: null, memoryKills: null },
      { model: "giant", memory: null, gpuBytes: 0, memoryKills: 0 },
      {
        model: "tiny",
        memory: { usedBytes: 1.5 * GIB, limitBytes: 4 * GIB },
        gpuBytes: 17 * GIB,
        memoryKills: 2,
      },
    ],
    gpus: [
      { index: "0", there: true, declared: true, others: [{ name: "python3", pid: 99, usedBytes: GIB }] },
      { index: "1", there: false, declared: true, memory: null },
    ],
  });
});

test("a device that shares the host's memory has none of its own", () => {
  const unified = parseStack(
    rawStack({ ...values, host: { gpus: [{ id: 0, memoryGiB: 128, vendor: "amd", unified: true }] } }),
  );
  const gpus = [{ ...facts.gpus[0]!, vendor: "amd" as const, name: "Radeon 8060S" }];
  const status = hostStatus(unified, box, "this machine", { ...facts, gpus });
  expect(statusPicture(status, true)[3]).toBe(
    "GPU 0   shares the host's memory                         87 % busy  64 °C  321 of 450 W  Radeon 8060S",
  );
});
