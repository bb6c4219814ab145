import fc from "fast-check";
import type { DockerClient } from "../../../platform/docker/client";
import { readLog, UnreadableLog } from "../../../platform/docker/logs";

/** Engines that meet zeros in a log: 26 and newer fail, 20.10 ends without a word. */
const ENGINES = {
  fails: {
    code: 1,
    stderr: "error from daemon in stream: Error grabbing logs: invalid character '\\x00' looking for",
  },
  "says nothing": { code: 0, stderr: "" },
  // And 20.10 at times comes past them, by some lines too far.
  skips: { code: 0, stderr: "" },
};

/** Seconds from a fixed time on, as Docker writes them. */
const at = (second: number) => `${new Date(second * 1000).toISOString().slice(0, 19)}.000000000Z`;
const lineAt = (second: number) => `${at(second)} line ${second}`;

/**
 * An engine with a log of a line a second, and zeros in front of line `gap`, which are part of it. Each question finds `grows`
 * lines more.
 */
function engine(count: number, gap: number | undefined, ends: keyof typeof ENGINES, grows: number) {
  let lines = count;
  const run = async (args: string[]) => {
    const option = (name: string) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : undefined);
    const tail = option("--tail") ?? lines;
    const since = option("--since") ?? 0;
    const first = Math.max(0, lines - tail);
    const broken = gap !== undefined && gap >= first && gap < lines;
    const all = Array.from({ length: lines - first }, (_, index) => first + index);
    const passes = ends === "skips" && option("--tail") !== undefined && tail % 2 === 0;
    const shown = broken ? all.filter((second) => second < gap || (passes && second > gap + 12)) : all;
    const stdout = shown.filter((second) => second >= since).map((second) => `${lineAt(second)}\n`);
    lines += grows;
    const { code, stderr } = broken ? ENGINES[ends] : { code: 0, stderr: "" };
    return { code, stderr, stdout: stdout.join("") };
  };
  return { run } as unknown as DockerClient;
}

const endings = fc.constantFrom(...(Object.keys(ENGINES) as (keyof typeof ENGINES)[]));

test("every line on both sides of a gap is read, whatever the engine does at it", () =>
  fc.assert(
    fc.asyncProperty(fc.nat(300), fc.nat(300), fc.nat(700), endings, async (before, after, since, ends) => {
      // The line that the zeros are part of is lost.
      const count = before + 1 + after;
      const { lines, gap } = await readLog(engine(count, before, ends, 0), "c", {
        since: String(since),
      });
      const seen = new Set(lines);
      for (let second = since; second < count; second++)
        if (second !== before) expect(seen).toContain(lineAt(second));
      expect(seen).not.toContain(lineAt(before));
      // On an engine that says nothing, a gap that only older lines follow is not seen, and nothing is lost by it.
      if (after > 0 && since < count) expect(gap).toBeDefined();
    }),
  ));

test("a log without a gap takes two questions, and lines that come meanwhile are no gap", () =>
  fc.assert(
    fc.asyncProperty(fc.nat(50), fc.nat(60), fc.nat(3), async (count, since, grows) => {
      const docker = engine(count, undefined, "fails", grows);
      const asked = jest.spyOn(docker, "run");
      const { lines, gap } = await readLog(docker, "c", { since: String(since) });
      expect([asked.mock.calls.length, gap]).toEqual([2, undefined]);
      const expected = Array.from({ length: count + grows }, (_, second) => second).filter(
        (second) => second >= since,
      );
      expect(lines).toEqual(expected.map(lineAt));
    }),
  ));

test("a time that Docker does not understand is refused with its words", async () => {
  const words = 'invalid value for "since": failed to parse value as time or duration: "x"';
  const docker = { run: async () => ({ code: 1, stdout: "", stderr: words }) } as unknown as DockerClient;
  await expect(readLog(docker, "c", { since: "x" })).rejects.toEqual(new UnreadableLog(words));
});
