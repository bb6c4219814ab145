import fc from "fast-check";
import { watchOf } from "../../../configs/engines/watch";
import { modelServers } from "../../../configs/plan/box";
import {
  type LockedEngine,
  type Starter,
  startDeadlines,
  takingTurns,
} from "../../../configs/plan/deviceLock";
import { everyImage, gpuHost } from "../../support/engines";
import { runs } from "../../support/runs";
import { testPlan, testSecrets } from "../../support/stacks";

const engine: LockedEngine = {
  gpu: { vendor: "nvidia", ids: ["1", "0"] },
  entrypoint: ["vllm", "serve"],
  env: { HOME: "/cache" },
  mounts: [],
  healthTest: ["CMD", "curl", "-fsS", "http://127.0.0.1:8000/it's"],
  readySeconds: 900,
  assets: { "own.sh": "vllm/own.sh" },
};

describe("an engine that takes turns", () => {
  test("takes the locks of the same devices in the same order as everybody", () => {
    const order = (ids: string[]) =>
      takingTurns("/srv/gpubox", { ...engine, gpu: { vendor: "amd", ids } }).env.GPUBOX_LOCKS;
    expect(order(["1", "0"])).toBe("device-0 device-1");
    expect(order(["0", "1"])).toBe("device-0 device-1");
    expect(order(["MIG-b", "GPU-a", "2"])).toBe("device-2 device-GPU-a device-MIG-b");
  });

  test("runs behind the lock, which asks its own health check, and watches its devices", () => {
    expect(takingTurns("/srv/gpubox", engine)).toEqual({
      ...engine,
      entrypoint: ["sh", "/etc/gpubox/device-lock.sh", "vllm", "serve"],
      env: {
        HOME: "/cache",
        GPUBOX_READY_SECONDS: "900",
        GPUBOX_LOCKS: "device-0 device-1",
        GPUBOX_PROBE: "'curl' '-fsS' 'http://127.0.0.1:8000/it'\\''s'",
        GPUBOX_GPUS: "2",
      },
      mounts: [
        { kind: "directory", source: "/srv/gpubox/locks", target: "/run/gpubox/locks", readOnly: true },
      ],
      healthTest: ["CMD", "sh", "/etc/gpubox/device-health.sh"],
      assets: {
        "own.sh": "vllm/own.sh",
        "device-lock.sh": "backend/device-lock.sh",
        "device-health.sh": "backend/device-health.sh",
        "device.sh": "backend/device.sh",
        "heal.sh": "health/heal.sh",
      },
    });
  });

  test("is ended before the host freezes where its device has no memory but the host's, and only there", () => {
    const served = (unified: boolean) => {
      const host = { gpuGroups: [44], gpus: [{ id: 0, memoryGiB: 128, vendor: "amd", unified }] };
      const model = "file:///srv/models/tiny.gguf";
      const tiny = { engine: "llamacpp", model, gpu: { devices: [0], memoryGiB: 8 } };
      const { service } = modelServers(testPlan({ host, models: { tiny } }, testSecrets, everyImage))[0]!;
      return [service.container.env.GPUBOX_MEMORY_FLOOR, "memory.sh" in service.directory.files];
    };
    // Half of a tenth of 128 GiB.
    expect(served(true)).toEqual(["6554", true]);
    expect(served(false)).toEqual([undefined, false]);
  });

  test("is left alone on the CPU where nobody can tell that it hangs", () => {
    const { gpu: _, ...onCpu } = engine;
    expect(takingTurns("/srv/gpubox", onCpu)).toBe(onCpu);
  });

  test("is watched on the CPU too, and waits for no device there", () => {
    const { gpu: _, ...onCpu } = engine;
    const watch = watchOf({ mode: "embedding" }, { name: "m", port: 8000 }, ["a:steps", "a:tokens"]);
    expect(takingTurns("/srv/gpubox", { ...onCpu, watch })).toMatchObject({
      entrypoint: ["sh", "/etc/gpubox/device-lock.sh", "vllm", "serve"],
      env: {
        GPUBOX_LOCKS: "",
        GPUBOX_HANG_SECONDS: "60",
        GPUBOX_HANG_PORT: "8000",
        GPUBOX_HANG_METRICS: "/metrics",
        GPUBOX_HANG_SIGNS: "a:steps|a:tokens",
        GPUBOX_HANG_PATH: "/v1/embeddings",
        GPUBOX_HANG_BODY: '{"model":"m","input":"."}',
      },
      mounts: [],
      healthTest: ["CMD", "sh", "/etc/gpubox/device-health.sh"],
      assets: { "hang.sh": "backend/hang.sh", "ask.sh": "backend/ask.sh" },
    });
  });

  test.each([
    ["turned off", { mode: "chat" as const, hangSeconds: 0 }],
    ["asked for what has no token", { mode: "rerank" as const }],
  ])("is not watched where it is %s", (_, model) => {
    expect(watchOf(model, { name: "m", port: 8000 }, ["a:steps"])).toBeUndefined();
  });
});

test("a box makes a lock for each device in use, and gives each backend the time of all that come before it", () => {
  const tiny = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" };
  const on = (device: number) => ({ ...tiny, readySeconds: 100, gpu: { devices: [device] } });
  const models = { a: on(0), b: on(0), c: on(2), cpu: { ...tiny, readySeconds: 7 } };
  const plan = testPlan({ host: gpuHost, models }, testSecrets, everyImage);
  expect(plan.deviceLocks?.script).toContain("'/srv/gpubox/locks' 'device-0' 'device-2'");
  expect(plan.backends.map(({ service }) => service.container.readySeconds)).toEqual([200, 200, 100, 7]);
  const [first] = plan.backends;
  expect(Object.keys(first!.service.directory.files)).toEqual(
    expect.arrayContaining(["device-lock.sh", "device-health.sh", "device.sh"]),
  );
  expect(testPlan().deviceLocks).toBeUndefined();
});

test("a model that comes or goes on a device changes no container of its neighbours, only how long `up` waits for them", () => {
  const sources = {
    llamacpp: "file:///srv/models/m.gguf",
    vllm: "hf://owner/model",
    sglang: "hf://owner/model",
    ollama: "qwen3:8b",
  };
  const entry = fc
    .constantFrom(...Object.entries(sources))
    .map(([engine, model]) => ({ engine, model, gpu: { devices: [0], memoryGiB: 2 } }));
  /** What Docker is told of each container, under any engine. */
  const told = (models: Record<string, unknown>) => {
    const plan = testPlan({ host: gpuHost, models }, testSecrets, everyImage);
    return Object.fromEntries(
      plan.backends.map(({ model, service: { container } }) => {
        const { readySeconds, ...rest } = container;
        return [model, JSON.stringify(rest)];
      }),
    );
  };
  fc.assert(
    fc.property(fc.array(entry, { minLength: 2, maxLength: 4 }), (entries) => {
      const models = Object.fromEntries(entries.map((one, index) => [`m${index}`, one]));
      const { m0, ...without } = models;
      const { m0: _, ...before } = told(models);
      expect(told(without)).toEqual(before);
    }),
    runs(10),
  );
});

describe("deadlines of engines that start in turn", () => {
  const starter = (name: string, devices: number[], readySeconds: number): Starter => ({
    name,
    devices: devices.map(String),
    readySeconds,
  });

  test("a backend may have to wait for the others on its devices, and for those that they wait for", () => {
    const starters = [
      starter("a", [0], 100),
      starter("both", [0, 1], 20),
      starter("b", [1], 3),
      starter("alone", [2], 1000),
      starter("cpu", [], 50),
    ];
    expect(startDeadlines(starters)).toEqual({ a: 123, both: 123, b: 123, alone: 1000, cpu: 50 });
  });

  test("no deadline is shorter than the backend's own time or longer than everybody's together", () => {
    const starters = fc.array(
      fc.record({
        devices: fc.array(fc.constantFrom("0", "1", "2"), { maxLength: 3 }),
        readySeconds: fc.integer({ min: 1 }),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(starters, (anonymous) => {
        const named = anonymous.map((one, index) => ({ ...one, name: `b${index}` }));
        const all = named.reduce((sum, one) => sum + one.readySeconds, 0);
        const deadlines = startDeadlines(named);
        for (const one of named) {
          expect(deadlines[one.name]).toBeGreaterThanOrEqual(one.readySeconds);
          expect(deadlines[one.name]).toBeLessThanOrEqual(all);
        }
      }),
    );
  });
});

test("the models of a slot are not watched: llama-swap starts and ends them", () => {
  const tiny = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" };
  const plan = testPlan({ models: { a: tiny, b: { ...tiny, start: "ondemand" } } }, testSecrets, everyImage);
  const watched = (text: unknown) => JSON.stringify(text).includes("GPUBOX_HANG_SECONDS");
  expect([watched(plan.backends), watched(plan.slots)]).toEqual([true, false]);
});
