import { ask, shortRequests } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;
const GATEWAYS = ["a", "b"];
/** Column of `show servers conn` with the idle connections of a server. */
const IDLE = 12;

describeLab("the edge's connections to gateways", () => {
  const lab = new Lab();
  /** Who answered, and over which of its connections. */
  const asked = async () => {
    const { json } = await ask(lab.clientPort, "/v1/chat/completions", { method: "POST", body: "{}" });
    return `${json.name} ${json.connection}`;
  };
  /** Idle connections of all slots. */
  const idle = async () =>
    (await lab.runtime("@1 show servers conn gateways"))
      .split("\n")
      .filter((line) => /^gateways\/s\d/.test(line))
      .reduce((sum, line) => sum + Number(line.split(" ")[IDLE]), 0);

  beforeAll(async () => {
    await lab.open();
    await Promise.all([...GATEWAYS.map((name) => lab.stub(name)), lab.edge()]);
    await lab.switch("a");
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("clients that come one after another, each with a connection of its own, share one to the gateway", async () => {
    const first = await asked();
    const later = [await asked(), await asked(), await asked()];
    expect(later).toEqual([first, first, first]);
  });

  test("after a switch no request takes a connection to the gateway before", async () => {
    await lab.switch("b");
    expect([await asked(), await asked()].map((answer) => answer.split(" ")[0])).toEqual(["b", "b"]);
    await lab.switch("a");
    // A new name in a slot begins without connections: those to whom it belonged before lead elsewhere.
    expect((await asked()).split(" ")[0]).toBe("a");
  });

  test("idle connections go long before a gateway closes them", async () => {
    const streams = Array.from({ length: 32 }, () =>
      ask(lab.clientPort, "/v1/chat/completions?stream=1", { method: "POST", body: "{}" }),
    );
    await Promise.all(streams);
    expect(await idle()).toBeGreaterThan(0);
    const began = performance.now();
    await eventually(async () => (await idle()) === 0);
    // LiteLLM keeps one for 120 s.
    expect(performance.now() - began).toBeLessThan(40_000);
  });

  test("a gateway that is killed and started again under load gets new connections, and nothing is lost", async () => {
    let over = () => {};
    const done = new Promise<void>((resolve) => {
      over = resolve;
    });
    const load = shortRequests(lab.clientPort, 8, done);
    for (let round = 0; round < 3; round++) {
      await lab.docker("kill", lab.name("a"));
      await lab.revive("a");
      await eventually(async () => (await lab.status())[0]?.includes(" a serving ") === true);
      await eventually(async () => (await asked()).startsWith("a "));
    }
    over();
    const { failed, answered } = await load;
    expect(failed).toEqual([]);
    expect(answered).toBeGreaterThan(50);
  });
});
