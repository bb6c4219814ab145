import { writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allowance } from "../support/allowance";
import { pause } from "../support/wait";
import { ask, shortRequests, stream } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;

describeLab("the edge's switch between gateways", () => {
  const lab = new Lab();
  const serves = async () => (await ask(lab.clientPort, "/v1/models")).json.name;
  const upstream = () => lab.exec("edge", "grep", "^  server s[0-9]* [^ ]*$", "/var/lib/gpubox/upstream.cfg");
  const file = async () =>
    (await upstream()).stdout
      .replaceAll(`${lab.prefix}-`, "")
      .split("\n")
      .filter(Boolean)
      .map((line) => line.trim());

  beforeAll(async () => {
    await lab.open();
    await Promise.all([lab.stub("a"), lab.stub("b"), lab.edge()]);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);
  afterEach(async () => {
    const logs = await lab.docker("logs", lab.name("edge"));
    expect(logs).not.toMatch(/lua.*error|assert|bug/i);
  });

  test("a request that comes before the first gateway waits for it", async () => {
    const waiting = ask(lab.clientPort, "/v1/models");
    await pause(1000, "requests are under way");
    const { code, stdout, stderr } = await lab.switch("a");
    expect([code, stdout, stderr]).toEqual([0, `serving ${lab.name("a")}\n`, ""]);
    const { status, json, took } = await waiting;
    expect([status, json.name]).toEqual([200, "a"]);
    expect(took).toBeGreaterThan(1000);
    expect(await file()).toEqual(["server s1 a:4000"]);
  });

  test("switching to the serving gateway changes nothing", async () => {
    // All but the time since its last change and the state of the check that may be running.
    const slot = async () => {
      const row = (await lab.runtime("@1 show servers state gateways")).match(/^.* s1 .*$/m)![0].split(" ");
      return row.filter((_, column) => ![9, 13].includes(column));
    };
    const before = await slot();
    expect((await lab.switch("a")).stdout).toBe(`serving ${lab.name("a")}\n`);
    expect(await slot()).toEqual(before);
    expect(await lab.status()).toEqual(["s1 a serving 0"]);
  });

  test(
    "nothing is lost when traffic moves back and forth under load",
    async () => {
      const done = pause(10_000, "the load runs across the change");
      const load = shortRequests(lab.clientPort, 4, done);
      const streams = Array.from({ length: 4 }, () => stream(lab.clientPort, 8));
      const order: string[] = [];
      for (const gateways of [["b"], ["a"], ["a", "b"], ["b"]]) {
        await pause(500, "requests are under way");
        const { code, stderr } = await lab.switch(...gateways);
        order.push(`${gateways} ${code} ${stderr}`);
      }
      const { answered, failed, longest, names } = await load;
      console.log(`switches under load: ${answered} requests, longest ${Math.round(longest)} ms`);
      expect(order).toEqual(["b 0 ", "a 0 ", "a,b 0 ", "b 0 "]);
      expect(failed).toEqual([]);
      expect([...names].sort()).toEqual(["a", "b"]);
      expect(answered).toBeGreaterThan(200);
      expect(await Promise.all(streams)).toEqual([undefined, undefined, undefined, undefined]);
    },
    MINUTE,
  );

  test("requests of the previous gateway are counted until they are done", async () => {
    // Longer than a reload and a switch take on a busy machine.
    const old = stream(lab.clientPort, 15);
    await eventually(async () => (await lab.status())[0] === "s2 b serving 1");
    await lab.switch("a");
    expect(await lab.status()).toEqual(["s1 a serving 0", "s2 b draining 1"]);
    expect(await old).toBeUndefined();
    await eventually(async () => (await lab.status()).length === 1);
    expect(await lab.status()).toEqual(["s1 a serving 0"]);
  });

  test("a gateway that still drains can be switched back to, and keeps its streams", async () => {
    const old = stream(lab.clientPort, 8);
    await eventually(async () => (await lab.status())[0] === "s1 a serving 1");
    await lab.switch("b");
    await lab.switch("a");
    expect(await lab.status()).toEqual(["s1 a serving 1"]);
    expect(await old).toBeUndefined();
  });

  test(
    "a gateway that does not come up changes nothing",
    async () => {
      const before = await file();
      const load = shortRequests(lab.clientPort, 1, pause(6000, "the load runs across it"));
      const { code, stdout, stderr } = await lab.switch("nobody");
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toBe(
        `${lab.name("nobody")} did not come up in the edge within 5 seconds; nothing was switched\n`,
      );
      expect(await file()).toEqual(before);
      expect((await load).failed).toEqual([]);
      expect(await lab.status()).toEqual(["s1 a serving 0"]);
    },
    MINUTE,
  );

  test(
    "the edge does not switch to an unhealthy gateway",
    async () => {
      await lab.exec("b", "touch", "/tmp/unwell");
      const { code, stderr } = await lab.switch("b");
      expect([code, stderr.includes("nothing was switched")]).toEqual([1, true]);
      expect(await serves()).toBe("a");
      await lab.exec("b", "rm", "/tmp/unwell");
    },
    MINUTE,
  );

  test.each([
    [[], "which gateways? Name them: switch.sh NAME…\n"],
    [["x;y"], "'x;y' is no container's name\n"],
    [["x", "x"], "x is named twice\n"],
  ])("%j is refused", async (names, message) => {
    const { code, stderr } = await lab.exec("edge", "bash", "/etc/gpubox/switch.sh", ...names);
    expect([code, stderr]).toEqual([1, message]);
  });

  test("it repairs a running state that differs from the file, and the other way round", async () => {
    await lab.runtime("@1 set server gateways/s1 state maint");
    expect(await lab.status()).toEqual([]);
    expect((await lab.switch("a")).code).toBe(0);
    expect(await lab.status()).toEqual([expect.stringMatching(/^s\d+ a serving 0$/)]);
    await lab.exec("edge", "sed", "-i", "s/-a:4000/-lost:4000/", "/var/lib/gpubox/upstream.cfg");
    expect((await lab.switch("a")).code).toBe(0);
    expect(await file()).toEqual([expect.stringMatching(/^server s\d+ a:4000$/)]);
    expect(await serves()).toBe("a");
  });

  test(
    "after a restart the edge serves what served before, whatever its first start named",
    async () => {
      expect((await lab.switch("b")).code).toBe(0);
      const before = await file();
      await lab.docker("restart", "--time", "1", lab.name("edge"));
      await eventually(async () => (await lab.exec("edge", "bash", "/etc/gpubox/health.sh")).code === 0);
      expect(await serves()).toBe("b");
      expect(await file()).toEqual(before);
    },
    MINUTE,
  );

  test(
    "a stream and idle connections survive a reload, a switch after it and the end of the old gateway",
    async () => {
      // Longer than a reload and a switch take on a busy machine.
      const old = stream(lab.clientPort, 15);
      const done = pause(8000, "the load runs across the change");
      const load = shortRequests(lab.clientPort, 4, done);
      const [agent, another] = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
      for (const idle of [agent, another]) await ask(lab.clientPort, "/v1/models", { agent: idle });
      await pause(500, "requests are under way");
      lab.writeEdge({ hosts: ["new.example"] });
      const { code, stdout, stderr } = await lab.reload();
      expect([code, stdout, stderr]).toEqual([0, "reloaded\n", ""]);
      // This connection belongs to the process from before the reload, which gives the request to its successor.
      const ofOld = await ask(lab.clientPort, "/v1/models", {
        agent: another,
        headers: { Host: "new.example" },
      });
      expect(ofOld.status).toBe(200);
      expect(ofOld.json.headers?.["x-forwarded-for"]).toMatch(/^\d+\.\d+\.\d+\.1$/);
      expect((await lab.switch("a")).code).toBe(0);
      expect((await lab.status()).map((line) => line.slice(line.indexOf(" ") + 1)).sort()).toEqual([
        expect.stringMatching(/^a serving \d+$/),
        expect.stringMatching(/^b draining [1-9]\d*$/),
      ]);
      expect(await old).toBeUndefined();
      await lab.docker("kill", lab.name("b"));
      expect((await ask(lab.clientPort, "/v1/models", { agent })).json.name).toBe("a");
      const { failed, answered } = await load;
      expect(failed).toEqual([]);
      expect(answered).toBeGreaterThan(200);
      for (const idle of [agent, another]) idle?.destroy();
      await lab.revive("b");
    },
    MINUTE,
  );

  test("a reload with a bad configuration says why, and the old one keeps serving", async () => {
    writeFileSync(join(lab.dir, "edge", "haproxy.cfg"), "global\n  nonsense\n");
    const { code, stderr } = await lab.reload();
    expect(code).toBe(1);
    expect(stderr).toContain("unknown keyword 'nonsense' in 'global' section");
    expect(await serves()).toBe("a");
    lab.writeEdge();
    expect((await lab.reload()).code).toBe(0);
  });

  test(
    "requests after the death of the only gateway wait for its return, and none is lost",
    async () => {
      const done = pause(9000, "the load runs across the change");
      const load = shortRequests(lab.clientPort, 4, done);
      await pause(1000, "requests are under way");
      await lab.docker("kill", lab.name("a"));
      await pause(4000, "how long it is away");
      await lab.revive("a");
      const { failed, longest } = await load;
      console.log(`gateway away for 4 s: longest wait ${Math.round(longest)} ms`);
      expect(failed).toEqual([]);
      expect(longest).toBeGreaterThan(3500);
      expect(longest).toBeLessThan(allowance(8000));
    },
    MINUTE,
  );

  test(
    "when one of two gateways hangs the other one has all requests within seconds, and nothing is lost",
    async () => {
      expect((await lab.switch("a", "b")).code).toBe(0);
      const load = shortRequests(lab.clientPort, 4, pause(12_000, "the load runs across it"));
      await pause(1000, "requests are under way");
      await lab.docker("kill", "--signal", "STOP", lab.name("a"));
      const began = performance.now();
      await eventually(async () => (await lab.status()).some((line) => /^s\d+ a down/.test(line)));
      console.log(`out after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      // By the task, not by a check that gave up.
      expect((await run("docker", ["logs", lab.name("edge")])).stderr).toMatch(
        / is DOWN, changed from Lua script/,
      );
      const answers = await Promise.all(Array.from({ length: 8 }, () => serves()));
      expect(answers).toEqual(Array(8).fill("b"));
      await lab.docker("kill", "--signal", "CONT", lab.name("a"));
      await eventually(async () => (await lab.status()).some((line) => /^s\d+ a serving/.test(line)));
      expect((await load).failed).toEqual([]);
    },
    MINUTE,
  );

  test(
    "the death of one of two gateways loses nothing",
    async () => {
      expect((await lab.switch("a", "b")).code).toBe(0);
      const load = shortRequests(lab.clientPort, 4, pause(6000, "the load runs across it"));
      await pause(1000, "requests are under way");
      await lab.docker("kill", lab.name("a"));
      const { failed, longest } = await load;
      expect(failed).toEqual([]);
      expect(longest).toBeLessThan(allowance(4000));
      expect(await lab.status()).toEqual(
        expect.arrayContaining([expect.stringMatching(/ a down 0$/), expect.stringMatching(/ b serving 0$/)]),
      );
      await lab.revive("a");
    },
    MINUTE,
  );

  test(
    "a request that kills its gateway again is given up instead of being sent around for ever",
    async () => {
      expect((await lab.switch("b")).code).toBe(0);
      const answer = ask(lab.clientPort, "/v1/chat/completions?die=1", { method: "POST", body: "{}" });
      await eventually(async () => (await lab.status()).some((line) => line.includes(" b down ")));
      // A real gateway needs seconds; the stub is there again so soon that one of the edge's own tries would meet it.
      await pause(4000, "how long it is away");
      await lab.revive("b");
      const { status, json } = await answer;
      expect([status, json.error]).toEqual([
        502,
        {
          message: "The gateway stopped before it answered.",
          type: "bad_gateway",
          code: 502,
        },
      ]);
      await lab.gone("b");
    },
    MINUTE,
  );
});
