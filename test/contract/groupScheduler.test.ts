import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { needs } from "../support/needs";
import { until } from "../support/wait";
import { type FakeModel, SchedulerLab } from "./groups/scheduler";

/** The test's own seats say what real ones would: test/e2e/groupScheduler.test.ts has those. */
needs("haproxy")("the scheduler of a group", () => {
  let lab: SchedulerLab;
  const MODELS: Record<string, FakeModel> = { a: { mib: 1000 }, b: { mib: 1000 }, c: { mib: 500 } };
  const told = (name: string, order: string) =>
    until(`${name} is told ${order}`, () => lab.order(name) === order, { everyMs: 20 });

  beforeEach(() => {
    lab = new SchedulerLab();
  });
  afterEach(() => lab.close());

  test("says each load that fails, also when one fails right after another", async () => {
    await lab.open(1500, MODELS);
    lab.way("a", "fails");
    for (const _ of [1, 2, 3])
      expect(await lab.ask("a")).toContain("its server did not load; the log of 127.0.0.1 says why");
    lab.way("a", "follows");
    expect(await lab.ask("a")).toBe("a");
  });

  test("does not ask an engine that ended a moment ago, and loads it again", async () => {
    await lab.open(1500, MODELS);
    for (const _ of Array(5)) {
      expect(await lab.ask("a")).toBe("a");
      lab.say("a", "stopped -");
      expect([await lab.ask("a"), lab.state("a")]).toEqual(["a", "ready"]);
    }
  });

  test("does not believe the state that a killed container left behind", async () => {
    const away = { name: "backend-that-is-gone", port: 80 };
    await lab.open(1500, { ...MODELS, a: { mib: 1000, server: away } });
    lab.say("a", "stopping -");
    lab.way("a", "stuck");
    expect(await lab.ask("a")).toContain("its container is stopped; `gpubox model start a` starts it");
    expect(await lab.ask("b")).toBe("b");
  });

  test("believes a seat that answers, whatever Docker knows of its address", async () => {
    await lab.open(1500, { ...MODELS, a: { mib: 1000, server: { name: "backend-unknown", port: 80 } } });
    lab.say("a", "ready 1");
    await told("a", "say");
    const asked = lab.ask("b");
    // It is loaded as far as anybody knows, and has to make room.
    await told("a", "stop");
    expect(await asked).toBe("b");
  });

  test("counts a removed member until it is gone, and unloads it", async () => {
    await lab.open(1500, MODELS);
    expect(await lab.ask("a")).toBe("a");
    lab.way("a", "slow");
    await lab.start(1500, { b: { mib: 1000, waitSeconds: 1 }, c: MODELS.c! });
    await lab.is("a", "stopping");
    expect(await lab.ask("b")).toContain(
      'it waits for memory that other models of its group use, and about 30 s are left"',
    );
    expect(lab.state("b")).toBe("stopped");
    lab.say("a", "stopped -");
    expect(await lab.ask("b")).toBe("b");
  });

  test("forgets a removed member that is gone", async () => {
    await lab.open(1500, MODELS);
    expect(await lab.ask("a")).toBe("a");
    lab.way("a", "stuck");
    await lab.start(1500, { b: MODELS.b!, c: MODELS.c! });
    rmSync(join(lab.seats, "a"), { recursive: true });
    expect(await lab.ask("b")).toBe("b");
  });

  test("a smaller budget unloads the least recently used ones until the rest fits, and none that still answers", async () => {
    await lab.open(2500, MODELS);
    for (const name of ["b", "a", "c"]) expect(await lab.ask(name)).toBe(name);
    await lab.remembered("b", "a", "c");
    // Its seat knows of a connection of the process before.
    lab.way("b", "slow");
    await lab.start(1500, MODELS);
    await lab.is("b", "stopping");
    lab.say("b", "ready 1");
    await lab.is("a", "stopped");
    expect([lab.state("b"), lab.state("c")]).toEqual(["ready", "ready"]);
  });

  test("a reload keeps in mind who was used last", async () => {
    await lab.open(2000, MODELS);
    for (const name of ["c", "a"]) expect(await lab.ask(name)).toBe(name);
    await lab.remembered("c", "a");
    await lab.start(1000, MODELS);
    await lab.is("c", "stopped");
    expect(lab.state("a")).toBe("ready");
  });

  test("an error does not end it, and is said once", async () => {
    const boom = `local now = core.now; function core.now() local f = io.open("${lab.dir}/boom"); if f then f:close() error("boom") end return now() end`;
    await lab.open(1500, MODELS, boom);
    writeFileSync(join(lab.dir, "boom"), "");
    await until("it says so", () => lab.log.includes("The group's scheduler failed and goes on"));
    rmSync(join(lab.dir, "boom"));
    expect(await lab.ask("a")).toBe("a");
    expect(lab.log.split("[err]").length - 1).toBe(1);
  });

  test("a pinned model waits in line like a request: those who keep asking for others do not keep it out", async () => {
    await lab.open(1500, { ...MODELS, d: { mib: 500 } });
    let ended = false;
    const answers = new Set<string>();
    const client = async (name: string) => {
      while (!ended) answers.add(await lab.ask(name));
    };
    const clients = ["a", "b", "c", "a", "b", "c"].map(client);
    await until("they take turns", () => answers.size === 3);
    await lab.start(1500, { ...MODELS, d: { mib: 500, pinned: true } });
    await lab.is("d", "ready");
    answers.clear();
    await until("the others have their turns beside it", () => answers.size === 3);
    ended = true;
    await Promise.all(clients);
    expect(lab.state("d")).toBe("ready");
  });

  test("a pinned model that cannot be loaded takes nobody's memory meanwhile", async () => {
    await lab.open(1500, { ...MODELS, d: { mib: 500 } });
    lab.way("d", "fails");
    await lab.start(1500, { ...MODELS, d: { mib: 500, pinned: true } });
    await lab.is("d", "failed");
    for (const name of ["a", "c", "b"]) expect(await lab.ask(name)).toBe(name);
    lab.way("d", "follows");
    await lab.is("d", "ready");
  });

  test("whatever an engine puts in its seat's place harms no other model", async () => {
    const kinds: Record<string, (at: string) => void> = {
      "a pipe": (at) => execFileSync("mkfifo", [at]),
      "a link to what has no end": (at) => symlinkSync("/dev/zero", at),
      "a link to a file of the scheduler's": (at) => symlinkSync(join(lab.dir, "members.lua"), at),
      "a directory": (at) => mkdirSync(at),
      "a long file": (at) => writeFileSync(at, "ready ".repeat(100_000)),
      nonsense: (at) => writeFileSync(at, "ready 99999999999999999999999999999 \u0000\n"),
    };
    await lab.open(1500, MODELS);
    const before = readFileSync(join(lab.dir, "members.lua"), "utf8");
    const said: Record<string, string[]> = {};
    const asked: Promise<string>[] = [];
    for (const [kind, make] of Object.entries(kinds)) {
      for (const name of ["state", "bell", "took"]) {
        rmSync(join(lab.seats, "a", name), { force: true, recursive: true });
        make(join(lab.seats, "a", name));
      }
      asked.push(lab.ask("a"));
      said[kind] = [await lab.ask("b"), await lab.ask("c")];
    }
    await Promise.all(asked);
    expect(said).toEqual(Object.fromEntries(Object.keys(kinds).map((kind) => [kind, ["b", "c"]])));
    // A new process reads more than one that runs.
    await lab.start(1500, MODELS);
    expect(await lab.ask("b")).toBe("b");
    expect(readFileSync(join(lab.dir, "members.lua"), "utf8")).toBe(before);
  });
});
