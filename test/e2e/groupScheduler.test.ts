import { output } from "../../platform/process";
import { needs } from "../support/needs";
import { Turns } from "../support/turns";
import { until } from "../support/wait";
import { GroupLab } from "./groups/lab";

const MINUTE = 60_000;

needs("the image gpubox/edge", "the image gpubox/llamacpp")("the scheduler of a group", () => {
  const lab = new GroupLab();
  const MODELS = {
    a: { mib: 1000 },
    b: { mib: 1000 },
    c: { mib: 500, idleSeconds: 2 },
    d: { mib: 500, priority: 5, waitSeconds: 5 },
  };
  const is = (name: string, state: string) => until(`${name} is ${state}`, () => lab.state(name) === state);
  /** Long enough that others come meanwhile. */
  const long = (name: string) => lab.ask(name, 0.8);

  beforeAll(() => lab.open(1500, MODELS), 2 * MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test(
    "loads what is asked, as far as it fits, and unloads the least recently used one",
    async () => {
      expect(lab.states()).toEqual({ a: "stopped", b: "stopped", c: "stopped", d: "stopped" });
      expect(await lab.ask("a")).toBe("a");
      expect(await lab.ask("d")).toBe("d");
      expect(lab.states()).toEqual({ a: "ready", b: "stopped", c: "stopped", d: "ready" });
      // Either would make room for c; a was used longer ago.
      expect(await lab.ask("c")).toBe("c");
      expect(lab.states()).toMatchObject({ a: "stopped", d: "ready", c: "ready" });
    },
    MINUTE,
  );

  test("unloads what nobody asks any more", () => is("c", "stopped"), MINUTE);

  test(
    "leaves what answers until it is done, and lets nobody else in meanwhile",
    async () => {
      const running = long("a");
      await is("a", "ready");
      const other = lab.ask("b");
      const late = lab.ask("a");
      expect(await running).toBe("a");
      expect(await other).toBe("b");
      expect(await late).toBe("a");
    },
    MINUTE,
  );

  test(
    "does not end the turn of a model in use for a less important one, and says how long that may take",
    async () => {
      expect(await lab.ask("b")).toBe("b");
      const busy = [long("d"), long("b")];
      await is("d", "ready");
      lab.write(1000, {
        ...MODELS,
        d: { mib: 1000, priority: 5, waitSeconds: 5 },
        a: { mib: 1000, waitSeconds: 2 },
      });
      await lab.reload();
      expect(await Promise.all(busy)).toEqual(["d", "b"]);
      const more = lab.ask("d", 1.5);
      await until("d answers", async () => lab.state("d") === "ready");
      const said = await lab.ask("a");
      expect(said).toMatch(
        /^503 \d+ .*"Model a is not available: it waits for memory that other models of its group use, and about \d+ s are left"/,
      );
      expect(await more).toBe("d");
      lab.write(1500, MODELS);
      await lab.reload();
    },
    MINUTE,
  );

  test(
    "a load that fails is said at once to all who wait, and the next request tries again",
    async () => {
      await is("c", "stopped");
      lab.sets("c", "fail", true);
      const said = await Promise.all([lab.ask("c"), lab.ask("c")]);
      for (const one of said)
        expect(one).toContain(
          `Model c is not available: its server did not load; the log of ${lab.name("c")} says why`,
        );
      lab.sets("c", "fail", false);
      expect(await lab.ask("c")).toBe("c");
    },
    MINUTE,
  );

  test(
    "a model whose container is stopped is said to be, and its memory is free",
    async () => {
      // Its engine does not end by itself.
      lab.sets("b", "slow", true);
      expect(await lab.ask("b")).toBe("b");
      await output("docker", ["stop", lab.name("b")]);
      expect(lab.state("b")).toBe("away");
      lab.sets("b", "slow", false);
      expect(await lab.ask("b")).toMatch(
        /^503 30 .*its container is stopped; `gpubox model start b` starts it/,
      );
      expect(await lab.ask("a")).toBe("a");
      await output("docker", ["start", lab.name("b")]);
      await is("b", "stopped");
      expect(await lab.ask("b")).toBe("b");
    },
    MINUTE,
  );

  test(
    "an engine that dies is loaded again at the next request",
    async () => {
      expect(await lab.ask("b")).toBe("b");
      const kill =
        'for p in /proc/[0-9]*; do case $(tr "\\0" " " <$p/cmdline) in "python3 /etc/gpubox/"*) kill -KILL $(basename $p) ;; esac; done';
      // Detached, because the seat clears away this shell too, with all that its engine leaves behind.
      await output("docker", ["exec", "--detach", lab.name("b"), "sh", "-c", kill]);
      await is("b", "stopped");
      expect(await lab.ask("b")).toBe("b");
    },
    MINUTE,
  );

  test(
    "eight clients that ask two models in turn lose nothing, also while it is reloaded and another model is killed",
    async () => {
      expect(await lab.ask("d")).toBe("d");
      await output("docker", ["kill", lab.name("d")]);
      const turns = new Turns(25_000, (name) => lab.ask(name));
      for (const models of [MODELS, { ...MODELS, c: { mib: 400 } }]) {
        const before = turns.answered;
        await until("some more are answered", () => turns.answered > before + 8);
        lab.write(1500, models);
        await lab.reload();
      }
      await turns.ended;
      expect(Object.keys(turns.answers).sort()).toEqual(["a", "b"]);
      // Its seat's last line says that it is loaded. By now nobody believes that.
      expect(lab.state("d")).toBe("ready");
      expect(await lab.ask("d")).toContain("its container is stopped; `gpubox model start d` starts it");
      await output("docker", ["start", lab.name("d")]);
      await is("d", "stopped");
    },
    3 * MINUTE,
  );

  test(
    "a pinned model is loaded without a request, and nobody takes its memory",
    async () => {
      lab.write(1500, { ...MODELS, d: { mib: 500, pinned: true } });
      await lab.reload();
      await is("d", "ready");
      expect([await lab.ask("a"), await lab.ask("b")]).toEqual(["a", "b"]);
      expect(lab.state("d")).toBe("ready");
    },
    MINUTE,
  );
});
