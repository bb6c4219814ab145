import { pause } from "../support/wait";
import { type Ask, ask, shortRequests } from "./haproxy/client";
import { describeLab, eventually, Lab, MASTER_KEY, PREVIOUS_KEY } from "./haproxy/lab";

const MINUTE = 60_000;

/** The three places of a key, and nothing in the other two. */
const placed = (key: string): [string, Pick<Ask, "key" | "headers">][] => [
  ["Authorization", { key }],
  ["x-api-key", { key: null, headers: { "x-api-key": key } }],
  ["api-key", { key: null, headers: { "api-key": key } }],
];

describeLab("master keys at the edge", () => {
  const lab = new Lab();
  const status = async (options: Ask, port = lab.clientPort) =>
    (await ask(port, "/v1/models", options)).status;
  const statuses = async (key: string) => {
    const seen: Record<string, number> = {};
    for (const port of [lab.clientPort, lab.adminPort]) {
      for (const [place, as] of placed(key)) {
        seen[`${port === lab.clientPort ? "client" : "admin"} ${place}`] = await status(as, port);
      }
    }
    return [...new Set(Object.values(seen))].length === 1 ? Object.values(seen)[0] : seen;
  };
  const edgeBack = () =>
    eventually(async () => (await lab.exec("edge", "bash", "/etc/gpubox/health.sh")).code === 0);
  const restart = async () => {
    await lab.docker("restart", "--time", "1", lab.name("edge"));
    await edgeBack();
  };

  beforeAll(async () => {
    await lab.open();
    await Promise.all([
      lab.stub("old", { KEY: PREVIOUS_KEY }),
      lab.stub("new", { KEY: MASTER_KEY }),
      lab.edge({ upstream: ["old"], secrets: { masterKey: PREVIOUS_KEY } }),
    ]);
    await eventually(async () => (await lab.status())[0] === "s1 old serving 0");
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("without a rotation keys pass unchanged", async () => {
    expect(await statuses(PREVIOUS_KEY)).toBe(200);
    expect(await statuses(MASTER_KEY)).toBe(401);
  });

  test("both keys work on the old gateway once the config names them, also after a restart", async () => {
    lab.writeEdge({ secrets: { masterKey: MASTER_KEY, previousMasterKey: PREVIOUS_KEY } });
    expect((await lab.reload()).stderr).toBe("");
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([200, 200]);
    await restart();
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([200, 200]);
  });

  test(
    "no request with either key is refused while traffic moves from the old to the new gateway and back",
    async () => {
      const load = shortRequests(
        lab.clientPort,
        6,
        pause(8000, "the load runs across three switches"),
        (client) => {
          const key = client % 2 ? MASTER_KEY : PREVIOUS_KEY;
          return placed(key)[client % 3]![1];
        },
      );
      for (const gateway of ["new", "old", "new"]) {
        await pause(700, "requests between two switches");
        expect((await lab.switch(gateway)).stderr).toBe("");
      }
      const { failed, names, answered } = await load;
      expect(failed).toEqual([]);
      expect([...names].sort()).toEqual(["new", "old"]);
      expect(answered).toBeGreaterThan(200);
    },
    MINUTE,
  );

  test("both keys work on the new gateway, also after a reload and a restart", async () => {
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([200, 200]);
    expect((await lab.reload()).code).toBe(0);
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([200, 200]);
    await restart();
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([200, 200]);
  });

  test.each([
    "",
    "sk-other",
    "master",
    "previous",
    "key:",
    "generation",
    `${MASTER_KEY}x`,
    MASTER_KEY.toUpperCase(),
  ])("%p is no key", async (key) => {
    expect(await statuses(key)).toBe(401);
  });

  test("a request without a key is told how to send one", async () => {
    expect(await status({ key: null })).toBe(401);
  });

  test("when only master keys are valid, no other key reaches the gateway", async () => {
    lab.writeEdge({ keys: "master", secrets: { masterKey: MASTER_KEY, previousMasterKey: PREVIOUS_KEY } });
    expect((await lab.reload()).code).toBe(0);
    const { status, json } = await ask(lab.clientPort, "/v1/models", { key: "sk-other" });
    expect([status, json.error?.type]).toEqual([401, "authentication_error"]);
    for (const key of [MASTER_KEY, PREVIOUS_KEY]) {
      for (const [, as] of placed(key))
        expect((await ask(lab.clientPort, "/v1/models", as)).status).toBe(200);
    }
    for (const [, as] of placed("sk-other"))
      expect((await ask(lab.adminPort, "/model/info", as)).status).toBe(401);
    expect((await ask(lab.adminPort, "/model/info", { key: MASTER_KEY })).status).toBe(200);
    // What the gateway says itself: it knows which of its routes ask for a key.
    const unasked = await ask(lab.adminPort, "/model/info", { key: null });
    expect(unasked.json.error?.message).toBe("the stub does not know this key");
    const readiness = await ask(lab.clientPort, "/health/readiness", { key: null });
    expect(readiness.json.error?.message).toBe("the stub does not know this key");
  });

  test("keys are in no log and no argument of a process", async () => {
    await ask(lab.clientPort, `/v1/models?key=${MASTER_KEY}`);
    const logs = await lab.docker("logs", lab.name("edge"));
    const processes = (await lab.exec("edge", "bash", "-c", "cat /proc/*/cmdline /proc/*/environ")).stdout;
    for (const key of [MASTER_KEY, PREVIOUS_KEY]) expect(logs + processes).not.toContain(key);
    const state = await lab.exec("edge", "bash", "-c", "cat /var/lib/gpubox/* /tmp/*.map");
    for (const key of [MASTER_KEY, PREVIOUS_KEY]) expect(state.stdout).not.toContain(key);
  });

  test("once the config names the new key only, the old one is refused", async () => {
    lab.writeEdge({ secrets: { masterKey: MASTER_KEY } });
    expect((await lab.reload()).code).toBe(0);
    expect([await statuses(PREVIOUS_KEY), await statuses(MASTER_KEY)]).toEqual([401, 200]);
  });

  test("without auth clients need no key, whatever they send, and the admin port still asks for one", async () => {
    lab.writeEdge({ auth: "none" });
    expect((await lab.reload()).code).toBe(0);
    expect(await status({ key: null })).toBe(200);
    for (const [, as] of placed("sk-other")) expect(await status(as)).toBe(200);
    const headers = { "x-api-key": "sk-other", "api-key": "sk-other", "x-litellm-api-key": "sk-other" };
    const { json } = await ask(lab.clientPort, "/v1/models", { key: "sk-other", headers });
    const sent = Object.entries(json.headers!).filter(([name]) => /key|authorization/.test(name));
    expect(sent).toEqual([["authorization", `Bearer ${MASTER_KEY}`]]);
    expect(await status({ key: null }, lab.adminPort)).toBe(401);
    expect(await status({ key: MASTER_KEY }, lab.adminPort)).toBe(200);
  });

  test.each([
    ["http://localhost:3000", 200],
    ["https://box.example", 200],
    ["https://evil.example", 403],
    ["null", 403],
    ["http://localhost.evil.example", 403],
  ])("without auth a web page of %s is answered %i", async (Origin, expected) => {
    expect(await status({ key: null, headers: { Origin } })).toBe(expected);
  });

  test("without auth a rotation goes unnoticed too", async () => {
    lab.writeEdge({ auth: "none", secrets: { previousMasterKey: PREVIOUS_KEY } });
    expect((await lab.reload()).code).toBe(0);
    expect(await status({ key: null })).toBe(200);
    expect((await lab.switch("old")).code).toBe(0);
    expect(await status({ key: null })).toBe(200);
  });
});
