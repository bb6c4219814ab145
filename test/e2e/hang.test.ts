import { cpSync } from "node:fs";
import { join } from "node:path";
import type { EngineWatch } from "../../configs/engines/watch";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { describeLocks, eventually, type LabEngine, LockLab } from "./deviceLock/lab";

const MINUTE = 60_000;
const PORT = 8000;
/** Declared seconds until an engine is asked for a token, and until it is given up then. */
const HANG = 2;

const watch: EngineWatch = {
  seconds: HANG,
  port: PORT,
  metricsPath: "/metrics",
  signs: ["llamacpp:n_decode_total"],
  path: "/v1/completions",
  body: '{"prompt":".","max_tokens":1}',
};

/** A request that waits for its answer; prints what became of it. */
const WAIT = `import urllib.request
try:
    print(urllib.request.urlopen("http://127.0.0.1:${PORT}/v1/completions", b"{}", timeout=300).status)
except Exception as error:
    print(type(error).__name__)`;

/** A connection without a whole request, until it is closed. */
const HOLD = `import socket
connection = socket.create_connection(("127.0.0.1", ${PORT}))
connection.sendall(b"POST /v1/completions HTTP/1.0\\r\\nContent-Length: 9\\r\\n\\r\\n")
connection.recv(1)`;

describeLocks("an engine that hangs while it passes its health check", () => {
  const lab = new LockLab();
  const engine = (more: Partial<LabEngine["engine"]> = {}): LabEngine => ({
    devices: ["0"],
    engine: {
      entrypoint: ["python3", "/etc/gpubox/core.py", String(PORT)],
      watch,
      ...more,
    },
  });
  const inside = (short: string, ...command: string[]) =>
    run("docker", ["exec", lab.name(short), ...command]);
  const core = (short: string, state: string) => inside(short, "sh", "-c", `echo '${state}' >/tmp/core`);
  const request = (short: string, program = WAIT) => inside(short, "python3", "-c", program);
  const says = async (short: string, words: string) =>
    eventually(async () => (await lab.log(short)).includes(words), `${short} says ${words}`);
  const started = async (short: string, more?: Partial<LabEngine["engine"]>) => {
    await lab.start(short, engine(more));
    await says(short, "the engine answers after");
  };
  const restarts = async (short: string) =>
    Number(await lab.docker("inspect", short, "--format", "{{.RestartCount}}"));

  beforeAll(async () => {
    await lab.open(["0"], { watch });
    cpSync(join(__dirname, "deviceLock/core.py"), join(lab.dir, "backend/core.py"));
    cpSync(join(packageDir, "assets/backend/memory.sh"), join(lab.dir, "backend/memory.sh"));
  }, MINUTE);
  afterEach(() => lab.remove(), MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test(
    "is asked for one token, killed, started again in its container and proven, with a core that died under a request",
    async () => {
      await started("dead");
      await core("dead", "dead");
      // What waited ends with the engine; this client runs beside it, and may be swept with it before it can say so.
      expect((await request("dead")).stdout).toMatch(/^(RemoteDisconnected|ConnectionResetError|$)/);
      await lab.until("dead", "loaded", 2);
      const log = await lab.log("dead");
      const [, seconds] = /the engine hangs: no token for (\d+) s, while requests waited; it is killed/.exec(
        log,
      )!;
      expect(Number(seconds)).toBeGreaterThanOrEqual(2 * HANG);
      expect([...log.matchAll(/asks for one/g)]).toHaveLength(1);
      expect([await restarts("dead"), (await request("dead")).stdout]).toEqual([0, "200\n"]);
      const { code, stdout } = await inside("dead", "sh", "/etc/gpubox/device-health.sh");
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d{10} hung: no token for \d+ s, /)]);
      // The request that hung and the watcher's, the token by which it was proven, and the request after it.
      await lab.until("dead", "asked", 4);
    },
    MINUTE,
  );

  test(
    "is left alone where it is merely slow, where nobody waits, and where it gives its token",
    async () => {
      await Promise.all(["slow", "idle", "dull"].map((short) => started(short, { gpu: undefined })));
      await Promise.all(
        ["slow", "idle", "dull"].map((short) => core(short, short === "idle" ? "dead" : short)),
      );
      const slow = request("slow");
      void request("dull", HOLD);
      // By then a dead one would have been killed twice.
      await eventually(
        async () => [...(await lab.log("dull")).matchAll(/asks for one/g)].length >= 3,
        "dull is asked three times",
      );
      await core("slow", "well");
      expect((await slow).stdout).toBe("200\n");
      const logs = await Promise.all(["slow", "idle", "dull"].map((short) => lab.log(short)));
      expect(logs.map((log) => log.includes("hangs"))).toEqual([false, false, false]);
      expect(logs.map((log) => log.includes("asks for one"))).toEqual([false, false, true]);
    },
    MINUTE,
  );

  test(
    "is started again when its health check has no answer any more, also where a signal stopped it",
    async () => {
      await Promise.all([started("mute", { gpu: undefined }), started("halted", { gpu: undefined })]);
      await core("mute", "mute");
      await inside("halted", "sh", "-c", "kill -STOP $(pidof python3)");
      await Promise.all(["mute", "halted"].map((short) => lab.until(short, "loaded", 2)));
      for (const short of ["mute", "halted"])
        expect(await lab.log(short)).toMatch(/the engine hangs: no answer to its health check for \d+ s/);
    },
    MINUTE,
  );

  test(
    "is left down when it has hung three times, its health check says so, and a person's restart begins anew",
    async () => {
      await started("broken");
      await core("broken", "dead always");
      void request("broken");
      await says("broken", "the engine hung 3 times within 60 minutes and is left down");
      const { code, stdout } = await inside("broken", "sh", "/etc/gpubox/device-health.sh");
      expect([code, stdout]).toEqual([1, "the engine hung again and again and is left down\n"]);
      const loads = (await lab.events("broken")).filter(({ what }) => what === "loaded").length;
      expect(loads).toBe(3);
      await lab.docker("restart", "broken", "--time", "1");
      await lab.until("broken", "loaded", 4);
    },
    MINUTE,
  );

  test(
    "leaves its device's lock to a neighbour while it is started again",
    async () => {
      await started("dead");
      await core("dead", "dead");
      void request("dead");
      await says("dead", "asks for one");
      await lab.start("next", { devices: ["0"], loadSeconds: 600 });
      await lab.until("next", "loading");
      await says("dead", "it is killed and started again");
      await eventually(
        async () => [...(await lab.log("dead")).matchAll(/waits for its turn/g)].length === 2,
        "it waits for its turn",
      );
      expect((await lab.events("dead")).filter(({ what }) => what === "loading")).toHaveLength(1);
    },
    MINUTE,
  );

  test(
    "is ended before the host's memory runs out, waits for room, and is left down the third time",
    async () => {
      const has = (mib: number) =>
        inside("greedy", "sh", "-c", `echo 'MemAvailable: ${mib * 1024} kB' >/tmp/meminfo`);
      const ends = async () =>
        [...(await lab.log("greedy")).matchAll(/left, and this was its newest load; it is ended/g)].length;
      const env = { GPUBOX_MEMINFO: "/tmp/meminfo" };
      await lab.start("greedy", { ...engine({ gpu: undefined, env }), floorMiB: 1000 });
      await has(9000);
      await says("greedy", "the engine answers after");
      for (let turn = 1; turn <= 3; turn++) {
        await has(700);
        await eventually(async () => (await ends()) === turn, `greedy is ended for the time ${turn}`);
        if (turn === 3) break;
        const { code, stdout } = await inside("greedy", "sh", "/etc/gpubox/device-health.sh");
        expect([code, stdout]).toEqual([
          1,
          "the host had 700 MiB of memory left, and this was its newest load\n",
        ]);
        await has(1999);
        await says("greedy", "waits until the host has 2000 MiB of memory");
        expect((await lab.events("greedy")).filter(({ what }) => what === "loading")).toHaveLength(turn);
        await has(9000);
        await lab.until("greedy", "loaded", turn + 1);
      }
      await says(
        "greedy",
        "the engine was ended for the host's memory 3 times within 60 minutes and is left down",
      );
      const { stdout } = await inside("greedy", "sh", "/etc/gpubox/device-health.sh");
      expect(stdout).toMatch(/ newest load\nit is left down\n$/);
      expect(await restarts("greedy")).toBe(0);
    },
    2 * MINUTE,
  );
});
