import { withProgress } from "../../../cli/progress";
import { run, terminalIsLent } from "../../../platform/process";

const CLEAR = "\r\u001b[2K";

/** A terminal that keeps what was written, lines and pictures in their order. */
function terminal(isTTY: boolean, columns = 80) {
  const shown: string[] = [];
  const screen = { isTTY, columns, write: (text: string) => shown.push(text) };
  return { shown, screen, log: (line: string) => void shown.push(`${line}\n`) };
}

const environment = { ...process.env };
beforeEach(() => {
  jest.useFakeTimers();
  for (const name of ["CI", "TERM"]) delete process.env[name];
});
afterEach(() => {
  jest.useRealTimers();
  process.env = { ...environment };
});

const wait = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);

test("after two quiet seconds the part and its time are shown, and the next line takes their place", async () => {
  const { shown, screen, log } = terminal(true);
  await withProgress(
    log,
    async (say) => {
      say("\nimages and models");
      say("  gateway    found");
      await wait(1_900);
      expect(shown).toHaveLength(2);
      await wait(63_100);
      say("  edge       built");
    },
    screen,
  );
  expect(shown.slice(0, 2)).toEqual(["\nimages and models\n", "  gateway    found\n"]);
  expect(shown[2]).toBe("⠋ images and models, 2 s");
  expect(shown.slice(-3)).toEqual([
    expect.stringMatching(/^\S images and models, 1 min 5 s$/),
    CLEAR,
    "  edge       built\n",
  ]);
});

test("a picture never wraps, and none stays when the work fails", async () => {
  const { shown, screen, log } = terminal(true, 20);
  const failing = withProgress(
    log,
    async (say) => {
      say("a part with a long name of its own");
      await wait(3_000);
      throw new Error("it failed");
    },
    screen,
  );
  await expect(failing).rejects.toThrow("it failed");
  expect(Math.max(...shown.slice(1).map((text) => text.length))).toBeLessThan(20);
  expect(shown.at(-1)).toBe(CLEAR);
});

test.each<[string, boolean, Record<string, string>]>([
  ["without a terminal", false, {}],
  ["in CI", true, { CI: "true" }],
  ["on a dumb terminal", true, { TERM: "dumb" }],
])("%s only the lines are printed", async (_, isTTY, env) => {
  Object.assign(process.env, env);
  const { shown, screen, log } = terminal(isTTY);
  await withProgress(
    log,
    async (say) => {
      say("one");
      await wait(10_000);
      say("two");
    },
    screen,
  );
  expect(shown).toEqual(["one\n", "two\n"]);
});

test("a child that has the terminal has it alone", async () => {
  jest.useRealTimers();
  expect(terminalIsLent()).toBe(false);
  const child = run("true", [], { inherit: true });
  expect(terminalIsLent()).toBe(true);
  await child;
  expect(terminalIsLent()).toBe(false);
  await run("no-such-program", [], { inherit: true });
  expect(terminalIsLent()).toBe(false);
  const silent = run("true", []);
  expect(terminalIsLent()).toBe(false);
  await silent;
});

test("the step that runs is shown until it ends, with the number of the others", async () => {
  const { shown, screen, log } = terminal(true);
  await withProgress(
    log,
    async (_, report) => {
      report({ what: "edge: building", done: 1, total: 4, unit: "steps" });
      report({ what: "cache: building" });
      await wait(200);
      expect(shown).toEqual(["⠋ edge: building  █████░░░░░░░░░░░░░░░  25 %  1 of 4 steps  (and 1 more)"]);
      report({ what: "edge: building", ended: true });
      await wait(200);
      expect(shown.slice(1)).toEqual([CLEAR, "⠙ cache: building  0 s"]);
      report({ what: "cache: building", ended: true });
      await wait(200);
      expect(shown.slice(3)).toEqual([CLEAR]);
    },
    screen,
  );
});

test("what a child writes comes above the step that runs", async () => {
  const { shown, screen, log } = terminal(true);
  await withProgress(
    log,
    async (_, report) => {
      report({ what: "waiting for the model tiny" });
      await wait(200);
      jest.useRealTimers();
      await run("sh", ["-c", "echo one; echo @ updating......; printf two"], { inherit: true });
    },
    screen,
  );
  expect(shown).toEqual([expect.stringContaining("waiting"), CLEAR, "one\n", "two\n"]);
});

test("without a terminal a long step adds one line each 30 seconds, and a short one none", async () => {
  const { shown, screen, log } = terminal(false);
  await withProgress(
    log,
    async (_, report) => {
      for (let second = 0; second <= 65; second++) {
        report({ what: "edge: pulling", done: second, total: 100, unit: "bytes" });
        await wait(1_000);
      }
      report({ what: "edge: pulling", ended: true });
      report({ what: "cache: pulling", done: 1, total: 2, unit: "bytes" });
    },
    screen,
  );
  expect(shown).toEqual([
    "  edge: pulling  30 %  30 B of 100 B  1 B/s  ETA 1 min 10 s\n",
    "  edge: pulling  60 %  60 B of 100 B  1 B/s  ETA 40 s\n",
  ]);
});
