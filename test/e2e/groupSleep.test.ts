import { spawn } from "node:child_process";
import { output } from "../../platform/process";
import { needs } from "../support/needs";
import { Turns } from "../support/turns";
import { pause, until } from "../support/wait";
import { GroupLab } from "./groups/lab";

const MINUTE = 60_000;

/** The engines are stubs that take vLLM's part: on the CPU the real one frees nothing. test/e2e/vllmSleep.test.ts asks that. */
needs("the image gpubox/edge", "the image gpubox/llamacpp")("models of a group that sleep", () => {
  const lab = new GroupLab();
  const MODELS = {
    a: { mib: 1000, asleep: 100, level: 1, device: "0" },
    b: { mib: 1000, asleep: 100, level: 2, device: "0" },
    c: { mib: 1200 },
  } as const;
  const is = (name: string, state: string) => until(`${name} is ${state}`, () => lab.state(name) === state);
  const count = async (name: string, words: string) => (await lab.log(name)).split(words).length - 1;
  const loads = async () => [await count("a", "\nloaded\n"), await count("b", "\nloaded\n")];

  beforeAll(() => lab.open(1300, MODELS), 2 * MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test(
    "fall asleep to make room and wake again, at either level, in an engine that was started once",
    async () => {
      for (const name of ["a", "b", "a", "b", "a"]) expect(await lab.ask(name)).toBe(name);
      expect(lab.states()).toEqual({ a: "ready", b: "asleep", c: "stopped" });
      expect(await count("a", "asleep at level 1")).toBe(2);
      expect(await count("b", "asleep at level 2")).toBe(2);
      expect(await loads()).toEqual([1, 1]);
    },
    MINUTE,
  );

  test(
    "wait for their turn on the device before they wake",
    async () => {
      const holder = spawn("flock", [lab.lockOf("0"), "sh", "-c", "echo held; exec cat"]);
      await new Promise((resolve) => holder.stdout.once("data", resolve));
      const asked = lab.ask("b");
      await is("b", "waking");
      const early = await Promise.race([asked, pause(1500, "a wake that asks nobody takes less")]);
      const then = lab.state("b");
      holder.stdin.end();
      expect([early, then]).toEqual([undefined, "waking"]);
      expect(await asked).toBe("b");
      expect(await loads()).toEqual([1, 1]);
    },
    MINUTE,
  );

  test(
    "free the device once they are awake",
    async () => {
      await until("the lock is free", async () => {
        const free = spawn("flock", ["--nonblock", lab.lockOf("0"), "true"]);
        return (await new Promise((resolve) => free.once("exit", resolve))) === 0;
      });
      expect(lab.state("b")).toBe("ready");
    },
    MINUTE,
  );

  test(
    "are loaded again where they do not wake, for the same request",
    async () => {
      expect(lab.state("a")).toBe("asleep");
      lab.sets("a", "restless", true);
      expect(await lab.ask("a")).toBe("a");
      expect(await loads()).toEqual([2, 1]);
      expect(await lab.log("a")).toContain("gpubox: vLLM does not wake: RuntimeError: no memory is left");
      lab.sets("a", "restless", false);
    },
    MINUTE,
  );

  test(
    "end where what they keep is in the way",
    async () => {
      expect(await lab.ask("c")).toBe("c");
      // a was used later than b, and one of them may stay.
      expect(lab.states()).toEqual({ a: "asleep", b: "stopped", c: "ready" });
      expect(await lab.ask("b")).toBe("b");
      expect(lab.states()).toEqual({ a: "asleep", b: "ready", c: "stopped" });
    },
    MINUTE,
  );

  test(
    "are away when their container is stopped in their sleep, and load when it is back",
    async () => {
      await output("docker", ["stop", lab.name("a")]);
      expect(lab.state("a")).toBe("away");
      await output("docker", ["start", lab.name("a")]);
      await is("a", "stopped");
      expect(await lab.ask("a")).toBe("a");
    },
    MINUTE,
  );

  test(
    "eight clients that ask two in turn lose nothing, also while the scheduler is reloaded",
    async () => {
      const before = await loads();
      const turns = new Turns(15_000, (name) => lab.ask(name));
      await until("some are answered", () => turns.answered > 16);
      lab.write(1300, { ...MODELS, c: { mib: 1100 } });
      await lab.reload();
      await turns.ended;
      expect(Object.keys(turns.answers).sort()).toEqual(["a", "b"]);
      expect(await loads()).toEqual(before);
    },
    2 * MINUTE,
  );
});
