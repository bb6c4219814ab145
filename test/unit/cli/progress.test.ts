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
