import { needs } from "../support/needs";
import { until } from "../support/wait";
import { type FakeModel, SchedulerLab } from "./groups/scheduler";

/** The test's own seats say what real ones would: test/e2e/groupSleep.test.ts has those. */
needs("haproxy")("models of a group that sleep", () => {
  let lab: SchedulerLab;
  const sleeper = { mib: 1000, asleep: 100 };
  const MODELS: Record<string, FakeModel> = { a: sleeper, b: sleeper, c: sleeper, d: { mib: 1100 } };
  const states = (...names: string[]) => names.map((name) => lab.state(name));
  /** One after another, so that each was used later than the one before. */
  const ask = async (...names: string[]) => {
    for (const name of names) expect(await lab.ask(name)).toBe(name);
  };

  beforeEach(() => {
    lab = new SchedulerLab();
  });
  afterEach(() => lab.close());

  test("fall asleep to make room, and wake for the next request", async () => {
    await lab.open(1500, MODELS);
    await ask("a", "b");
    expect(states("a", "b")).toEqual(["asleep", "ready"]);
    await ask("a");
    expect(states("a", "b")).toEqual(["ready", "asleep"]);
  });

  test("end where what they keep is in the way, and one that only has to fall asleep does no more", async () => {
    await lab.open(1200, MODELS);
    await ask("a", "b", "c");
    expect(states("a", "b", "c")).toEqual(["asleep", "asleep", "ready"]);
    // 1100 beside 100 of one sleeper.
    await ask("d");
    expect(states("a", "b", "c", "d")).toEqual(["stopped", "stopped", "asleep", "ready"]);
  });

  test("end the least recently used first, and no more than that needs", async () => {
    await lab.open(1300, MODELS);
    await ask("b", "a", "c", "d");
    expect(states("a", "b", "c", "d")).toEqual(["asleep", "stopped", "asleep", "ready"]);
  });

  test("stay awake where they are not in the way", async () => {
    await lab.open(2200, MODELS);
    await ask("a", "b", "d");
    expect(states("a", "b", "d")).toEqual(["asleep", "ready", "ready"]);
  });

  test("end before a model in use has to make room", async () => {
    await lab.open(1550, { ...MODELS, c: { mib: 600, asleep: 500 }, e: { mib: 550 } });
    await ask("c");
    const running = lab.ask("a", true);
    await until("a answers", () => lab.holds);
    expect(states("a", "c")).toEqual(["ready", "asleep"]);
    await ask("e");
    expect(states("a", "c", "e")).toEqual(["ready", "stopped", "ready"]);
    lab.release();
    expect(await running).toBe("a");
  });

  test("are spared while they answer: the seat says that somebody still asks it", async () => {
    await lab.open(1500, MODELS);
    await ask("a");
    lab.way("a", "slow");
    const other = lab.ask("b");
    await lab.is("a", "dozing");
    expect(lab.state("b")).toBe("stopped");
    lab.say("a", "ready 1");
    await lab.is("a", "dozing");
    lab.say("a", "asleep 1");
    expect(await other).toBe("b");
  });

  test("fall asleep when nobody asks them any more", async () => {
    await lab.open(1500, { ...MODELS, a: { ...sleeper, idleSeconds: 1 } });
    await ask("a");
    await lab.is("a", "asleep");
    await ask("a");
  });

  test("have what they keep counted by the next process, which ends the least recently used where the budget became smaller", async () => {
    await lab.open(1500, MODELS);
    await ask("a", "b");
    await lab.remembered("a", "b");
    await lab.start(150, MODELS);
    await lab.is("a", "stopped");
    expect(lab.state("b")).toBe("asleep");
  });

  test("are ended once they are members no more", async () => {
    await lab.open(1500, MODELS);
    await ask("a", "b");
    await lab.start(1500, { b: sleeper, c: sleeper });
    await lab.is("a", "stopped");
    expect(lab.state("b")).toBe("ready");
  });

  test("say that they wake to those who cannot wait so long", async () => {
    await lab.open(1500, { ...MODELS, a: { ...sleeper, waitSeconds: 1 } });
    await ask("a", "b");
    lab.way("a", "slow");
    expect(await lab.ask("a")).toMatch(
      /^503 .*"Model a is not available: it is waking up, and about 1 s are left; the load goes on"/,
    );
    lab.say("a", "ready 1");
    await ask("a");
  });

  test("are loaded again where they did not wake", async () => {
    await lab.open(1500, MODELS);
    await ask("a", "b");
    lab.way("a", "slow");
    const asked = lab.ask("a");
    await lab.is("a", "waking");
    lab.way("a", "follows");
    lab.say("a", "stopping -");
    lab.say("a", "stopped -");
    expect(await asked).toBe("a");
  });
});
