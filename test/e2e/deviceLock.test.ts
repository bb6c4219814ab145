import { rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cannedModel } from "../../tools/cannedModel";
import { allowance } from "../support/allowance";
import { describeLocks, type Event, eventually, LockLab } from "./deviceLock/lab";

const MINUTE = 60_000;

/** From each start of a stub to the moment when it was loaded or ended. */
function windows(events: Event[]): [number, number][] {
  return events.flatMap((event, index) =>
    event.what === "loading" ? [[event.at, events[index + 1]?.at ?? Number.POSITIVE_INFINITY]] : [],
  ) as [number, number][];
}

describeLocks("engines on one device", () => {
  const lab = new LockLab();

  /** Every load window of the given backends, in order of time; they must not overlap. */
  const allWindows = async (...shorts: string[]) => {
    const all = await Promise.all(shorts.map(async (short) => windows(await lab.events(short))));
    return all.flat().sort(([a], [b]) => a - b);
  };
  const overlaps = (list: [number, number][]) =>
    list.filter(([start], index) => index > 0 && start < list[index - 1]![1]);

  beforeAll(() => lab.open(["0", "1"]), MINUTE);
  afterEach(() => lab.remove(), MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("lock files stay the same files however often they are made", async () => {
    const inode = () => statSync(join(lab.dir, "locks", "device-0")).ino;
    const before = inode();
    await lab.makeLocks(["0", "1"]);
    expect(inode()).toBe(before);
  });

  test(
    "load in turn, and again after both are restarted at once",
    async () => {
      await Promise.all(["a", "b"].map((short) => lab.start(short, { devices: ["0"] })));
      await Promise.all(["a", "b"].map((short) => lab.until(short, "loaded")));
      const first = await allWindows("a", "b");
      expect([first.length, overlaps(first)]).toEqual([2, []]);

      await Promise.all(["a", "b"].map((short) => lab.docker("restart", short)));
      await Promise.all(["a", "b"].map((short) => lab.until(short, "loaded", 2)));
      const both = await allWindows("a", "b");
      expect([both.length, overlaps(both)]).toEqual([4, []]);
    },
    2 * MINUTE,
  );

  test(
    "a backend that is killed while it loads passes its turn to the next one at once",
    async () => {
      await lab.start("a", { devices: ["0"], loadSeconds: 600 });
      await lab.until("a", "loading");
      await lab.start("b", { devices: ["0"], loadSeconds: 0 });
      await eventually(async () => (await lab.log("b")).includes("waits for its turn"), "b waits");
      expect(await lab.events("b")).toEqual([]);
      const killed = Date.now() / 1000;
      await lab.docker("kill", "a");
      expect((await lab.until("b", "loading")) - killed).toBeLessThan(10);
    },
    MINUTE,
  );

  test(
    "an engine that never answers is stopped when its time is over, restarts, and the next one has its turn",
    async () => {
      await lab.start("a", {
        devices: ["0"],
        loadSeconds: 600,
        readySeconds: 3,
        exitCode: 0,
        docker: ["--restart", "unless-stopped"],
      });
      await lab.until("a", "loading");
      await lab.start("b", { devices: ["0"], loadSeconds: 1 });
      await lab.until("b", "loaded");
      expect(await lab.log("a")).toContain("the engine did not answer within 3 s");
      await lab.until("a", "loading", 2);
      const list = await allWindows("a", "b");
      expect(overlaps(list)).toEqual([]);
    },
    2 * MINUTE,
  );

  test(
    "an engine that gives up exits with a code that is not zero, although it ends cleanly",
    async () => {
      await lab.start("a", { devices: ["0"], loadSeconds: 600, readySeconds: 1, exitCode: 0 });
      expect(await lab.exitCode("a")).toBe(1);
    },
    MINUTE,
  );

  test(
    "on different devices they load at the same time",
    async () => {
      await Promise.all(["0", "1"].map((d) => lab.start(`d${d}`, { devices: [d], loadSeconds: 4 })));
      await Promise.all(["0", "1"].map((d) => lab.until(`d${d}`, "loaded")));
      expect(overlaps(await allWindows("d0", "d1"))).toHaveLength(1);
    },
    MINUTE,
  );

  test(
    "backends that name two devices in opposite order do not wait for each other",
    async () => {
      const orders = { ab: ["0", "1"], ba: ["1", "0"], ab2: ["0", "1"], ba2: ["1", "0"] };
      const shorts = Object.keys(orders);
      await Promise.all(
        Object.entries(orders).map(([short, devices]) => lab.start(short, { devices, loadSeconds: 0.5 })),
      );
      await Promise.all(shorts.map((short) => lab.until(short, "loaded")));
      const list = await allWindows(...shorts);
      expect([list.length, overlaps(list)]).toEqual([4, []]);
    },
    MINUTE,
  );

  test.each([
    ["while it waits for its turn", 143],
    ["while it loads", 7],
    ["while it serves", 7],
  ])(
    "SIGTERM %s ends the container within a second, with the engine's exit code",
    async (when, code) => {
      const waits = when.includes("waits");
      if (waits) {
        await lab.start("first", { devices: ["0"], loadSeconds: 600 });
        await lab.until("first", "loading");
      }
      await lab.start("a", {
        devices: ["0"],
        loadSeconds: when.includes("serves") ? 0 : 600,
        exitCode: 7,
      });
      if (waits) await eventually(async () => (await lab.log("a")).includes("waits"), "a waits");
      else await lab.until("a", "loading");
      if (when.includes("serves")) await eventually(() => lab.healthy("a"), "a serves");
      const from = Date.now();
      await lab.docker("kill", "a", "--signal", "TERM");
      expect(await lab.exitCode("a")).toBe(code);
      expect(Date.now() - from).toBeLessThan(allowance(5000));
    },
    MINUTE,
  );

  test(
    "the exit code of an engine that ends by itself is passed on",
    async () => {
      await lab.start("a", { devices: ["0"], engine: { entrypoint: ["sh", "-c", "exit 42"] } });
      expect(await lab.exitCode("a")).toBe(42);
    },
    MINUTE,
  );

  test(
    "without flock and as process 1 it works too",
    async () => {
      const tools = "sh python3 sleep date timeout bash";
      lab.write(
        "poor.sh",
        `mkdir /tmp/bin\nfor tool in ${tools}; do ln -s "$(command -v $tool)" /tmp/bin; done\nPATH=/tmp/bin exec "$@"\n`,
      );
      const poor = (short: string) =>
        lab.start(short, {
          devices: ["0"],
          loadSeconds: 1,
          docker: ["--init=false"],
          through: ["sh", "/etc/gpubox/poor.sh"],
        });
      await Promise.all([poor("a"), poor("b")]);
      await Promise.all(["a", "b"].map((short) => lab.until(short, "loaded")));
      expect(overlaps(await allWindows("a", "b"))).toEqual([]);
    },
    MINUTE,
  );

  test(
    "a backend that loses its GPU turns unhealthy, ends, and is started again under its lock",
    async () => {
      const lost = "/etc/gpubox/lost";
      lab.write(
        "nvidia-smi",
        `#!/bin/sh\n[ ! -e ${lost} ] || { echo "Failed to initialize NVML: Unknown Error"; exit 255; }\necho "GPU 0: Test (UUID: GPU-1)"\n`,
      );
      await lab.start("a", {
        devices: ["0"],
        loadSeconds: 0,
        docker: [
          ...["--restart", "unless-stopped", "--env", "GPUBOX_GPUS=1", "--env", "GPUBOX_WATCH_SECONDS=1"],
          ...["--volume", `${join(lab.dir, "backend", "nvidia-smi")}:/usr/local/bin/nvidia-smi:ro`],
        ],
      });
      await eventually(() => lab.healthy("a"), "a is healthy");
      writeFileSync(join(lab.dir, "backend", "lost"), "");
      expect(await lab.healthy("a")).toBe(false);
      await lab.until("a", "stopped");
      await eventually(
        async () => (await lab.log("a")).includes("was given cannot be reached"),
        "a says at its next start what is wrong",
      );
      rmSync(join(lab.dir, "backend", "lost"));
      await eventually(() => lab.healthy("a"), "a is healthy again");
    },
    MINUTE,
  );

  test(
    "llama-server loads in turn too, and serves",
    async () => {
      writeFileSync(join(lab.dir, "backend", "tiny.gguf"), cannedModel());
      const server = (short: string) =>
        lab.start(short, {
          devices: ["0"],
          engine: {
            entrypoint: [
              "/app/llama-server",
              "--model",
              "/etc/gpubox/tiny.gguf",
              "--port",
              "8123",
              "--ctx-size",
              "512",
            ],
            healthTest: ["CMD", "curl", "-fsS", "http://127.0.0.1:8123/health"],
          },
        });
      await Promise.all([server("a"), server("b")]);
      for (const short of ["a", "b"]) {
        await eventually(() => lab.healthy(short), `${short} is healthy`);
        await eventually(
          async () => /starts the engine.*the engine answers after \d+ s/s.test(await lab.log(short)),
          `${short} frees its device`,
        );
      }
    },
    MINUTE,
  );
});
