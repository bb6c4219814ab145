import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { LocalSshd, SSHD } from "../support/localSshd";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("line");

needs("docker", SSHD)("the connection to a host", () => {
  let host: LocalSshd;
  const file = (name: string) => join(host.dir, ".gpubox/ssh", STACK, name);

  // It waits half a minute for the engine's answer, while the other tests run.
  let begun: ReturnType<typeof loseSilently> | undefined;
  beforeAll(() => {
    begun = loseSilently();
    begun.catch(() => {});
  });

  beforeEach(async () => {
    host = new LocalSshd(STACK, PORT);
    await host.start();
  });
  afterEach(() => host.remove());

  test(
    "is never opened by a command that only uses it, because that one would lack the engine's socket",
    async () => {
      expect(await host.connect()).toBeUndefined();
      host.signal("KILL");
      await until("the connection is gone", () => host.ssh("-O", "check", "127.0.0.1").status !== 0);
      expect(host.ssh("127.0.0.1", "echo there").stdout).toBe("there\n");
      expect(existsSync(file("master"))).toBe(false);
      expect(await host.connect()).toBeUndefined();
    },
    MINUTE,
  );

  test(
    "stays a single one when four commands open it at once, and a command that died meanwhile blocks nobody",
    async () => {
      expect(await host.connect()).toBeUndefined();
      host.ssh("-O", "exit", "127.0.0.1");
      // No process has that number.
      writeFileSync(file("lock"), "4194305");
      const all = await Promise.all([host.connect(), host.connect(), host.connect(), host.connect()]);
      expect(all).toEqual([undefined, undefined, undefined, undefined]);
      expect(host.clients()).toHaveLength(1);
      expect(existsSync(file("lock"))).toBe(false);
      expect(readFileSync(file("config"), "utf8")).toContain(`Written by gpubox for the stack ${STACK}`);
    },
    MINUTE,
  );

  test(
    "outlives a server's patience with unused ones while a command runs, and not longer",
    async () => {
      await host.stop();
      await host.start("UnusedConnectionTimeout=2", "ClientAliveInterval=1", "ClientAliveCountMax=1");
      const answer = await host.stay();
      await host.unusedConnectionEnds();
      expect(await answer()).toBe("docker ended with 0");
      await until("nobody holds the connection", () => host.clients().length === 0);
    },
    MINUTE,
  );

  test(
    "without access to the engine's socket is not reported as an engine that is down",
    async () => {
      await host.stop();
      await host.start("AllowStreamLocalForwarding=no");
      expect(await host.connect()).toEqual({
        what: expect.stringContaining("but not through SSH: sshd does not forward its socket."),
        fix: expect.stringContaining("Write AllowStreamLocalForwarding yes in /etc/ssh/sshd_config there"),
      });
    },
    MINUTE,
  );

  test(
    "is not used for a stack whose box runs on this machine, until the user confirms the move",
    async () => {
      const image = `gpubox/test-here:${process.pid}`;
      const name = `gpubox-${STACK}-edge`;
      const [box, docker] = [join(host.dir, "box"), (...args: string[]) => output("docker", args)];
      const own = { "gpubox:saltFingerprint": "aa" };
      const marker = (identity: string) =>
        writeFileSync(join(box, ".gpubox-stack"), JSON.stringify({ stack: STACK, identity }));
      mkdirSync(join(box, "edge"), { recursive: true });
      marker("aa");
      try {
        await output("sh", ["-c", `tar -c --files-from /dev/null | docker import - ${image}`]);
        await docker("create", "--name", name, "-v", `${box}/edge:/etc/gpubox`, image, "true");
        host.writeStack(own);
        expect(await host.connect()).toMatchObject({
          what: expect.stringContaining(
            "This stack's box runs on this machine, and gpubox:host.docker leads to",
          ),
        });
        const id = (await docker("info", "--format", "{{.ID}}")).trim();
        host.writeStack({ ...own, "gpubox:hostId": id });
        // The host is this machine, so there it is a box in another directory.
        expect((await host.connect())?.what).toContain(`already, with its files in ${box}.`);
        host.writeStack(own);
        marker("bb");
        expect((await host.connect())?.what).toContain(`already, with its files in ${box}.`);
        await docker("rm", name);
        expect(await host.connect()).toBeUndefined();
      } finally {
        await run("docker", ["rm", "-f", name]);
        await run("docker", ["image", "rm", image]);
      }
    },
    MINUTE,
  );

  test(
    "is opened again after a silent loss, which the connection itself does not notice",
    async () => {
      const loss = begun ?? loseSilently();
      begun = undefined;
      const { first, check, again, before, after } = await loss;
      expect([first, check, again]).toEqual([undefined, 0, undefined]);
      expect([before.length, after.length]).toEqual([1, 1]);
      expect(after).not.toEqual(before);
    },
    3 * MINUTE,
  );
});

/** Connects, loses the connection as a line does that drops every packet, and connects again. */
async function loseSilently() {
  const host = new LocalSshd(`${STACK}-silent`, PORT + 1);
  try {
    await host.start();
    const first = await host.connect();
    const before = host.clients();
    host.signal("STOP");
    const check = host.ssh("-O", "check", "127.0.0.1").status;
    const again = await host.connect();
    return { first, check, again, before, after: host.clients() };
  } finally {
    await host.remove();
  }
}
