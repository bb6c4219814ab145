import fc from "fast-check";
import { deviceLock, type Starter, startDeadlines } from "../../configs/plan/deviceLock";

const engine = {
  devices: [1, 0],
  nvidia: true,
  port: 8000,
  healthPath: "/health",
  readySeconds: 900,
  command: ["vllm", "serve", "/model"],
};

describe("the device lock of a backend", () => {
  test("everybody takes the locks of the same devices in the same order", () => {
    const order = (devices: (number | string)[]) =>
      deviceLock("/srv/gpubox", { ...engine, devices }).env.GPUBOX_LOCKS;
    expect(order([1, 0])).toBe("device-0 device-1");
    expect(order([0, 1])).toBe("device-0 device-1");
    expect(order(["MIG-b", "GPU-a", 2])).toBe("device-2 device-GPU-a device-MIG-b");
  });

  test("the engine's command runs behind the entrypoint, with the lock directory mounted read-only", () => {
    expect(deviceLock("/srv/gpubox", engine)).toEqual({
      entrypoint: ["sh", "/etc/gpubox/entrypoint.sh"],
      command: ["vllm", "serve", "/model"],
      env: {
        GPUBOX_PORT: "8000",
        GPUBOX_HEALTH_PATH: "/health",
        GPUBOX_READY_SECONDS: "900",
        GPUBOX_LOCKS: "device-0 device-1",
        GPUBOX_GPUS: "2",
      },
      mounts: [
        { kind: "directory", source: "/srv/gpubox/locks", target: "/run/gpubox/locks", readOnly: true },
      ],
      healthTest: ["CMD", "sh", "/etc/gpubox/health.sh"],
      files: {},
    });
  });

  test("a backend on the CPU waits for nobody and watches no device", () => {
    const plan = deviceLock("/srv/gpubox", { ...engine, devices: [] });
    expect(plan.mounts).toEqual([]);
    expect(Object.keys(plan.env).sort()).toEqual([
      "GPUBOX_HEALTH_PATH",
      "GPUBOX_PORT",
      "GPUBOX_READY_SECONDS",
    ]);
  });

  test("secrets are in a file that the entrypoint reads, and not in the environment", () => {
    const apiKey = [{ secret: "engineKey", as: "shell" as const }];
    const plan = deviceLock("/srv/gpubox", { ...engine, secretEnv: { VLLM_API_KEY: apiKey } });
    expect(plan.env.GPUBOX_ENV_FILE).toBe("/etc/gpubox/backend.env");
    expect(plan.files).toEqual({
      "backend.env": { text: ["VLLM_API_KEY=", ...apiKey, "\n"], mode: "0640" },
    });
  });
});

describe("deadlines of engines that start in turn", () => {
  const starter = (name: string, devices: number[], readySeconds: number): Starter => ({
    name,
    devices,
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
      fc.record({ devices: fc.array(fc.nat(3), { maxLength: 3 }), readySeconds: fc.integer({ min: 1 }) }),
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
