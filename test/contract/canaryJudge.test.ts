import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { packageDir } from "../../platform/project";

/** What one server has done since the canary began. */
interface Counts {
  asked: number;
  failed: number;
  answered: number;
  streamed: [count: number, ms: number];
  whole: [count: number, ms: number];
}

interface Look {
  elapsed: number;
  said: "-" | "promote" | "revert";
  state: string;
  before: Counts;
  next: Counts;
}

const MARGINS = { seconds: 1800, points: 1, factor: 2, least: 20 };

function judge(input: string, margins = MARGINS): [word: string, why: string] {
  const set = Object.entries(margins).flatMap(([name, value]) => ["-v", `${name}=${value}`]);
  const program = join(packageDir, "assets/haproxy/canary.awk");
  const { stdout, stderr } = spawnSync("awk", [...set, "-f", program], { input, encoding: "utf8" });
  expect(stderr).toBe("");
  const [, word = "", why = ""] = /^(\S+) (.*)\n$/.exec(stdout) ?? [];
  return [word, why];
}

const line = (name: string, { asked, failed, answered, streamed, whole }: Counts) =>
  [name, asked, failed, answered, ...streamed, ...whole].join(" ");
const text = ({ elapsed, said, state, before, next }: Look) =>
  `${elapsed} ${said} ${state}\n${line("backend", before)}\n${line("next", next)}\n`;

const good = (asked: number): Counts => ({
  asked,
  failed: 0,
  answered: asked,
  streamed: [asked / 2, 200],
  whole: [asked / 2, 1000],
});
const healthy: Look = { elapsed: 1800, said: "-", state: "UP", before: good(760), next: good(40) };
const judged = (more: Partial<Look>, margins = MARGINS) => judge(text({ ...healthy, ...more }), margins);

test("one that does as well as the server before is promoted once its time is over, and waits until then", () => {
  expect(judged({})).toEqual([
    "promote",
    "0 of its 40 requests failed (0 of 760 on the one before); first token after 200 ms (200 ms); whole answers after 1000 ms (1000 ms)",
  ]);
  expect(judged({ elapsed: 1799 })[0]).toBe("wait");
});

test.each<[string, Partial<Look>, RegExp]>([
  [
    "more failures",
    { next: { ...good(40), failed: 1 } },
    /^more of its requests fail: 1 of its 40 requests failed/,
  ],
  [
    "a later first token",
    { next: { ...good(40), streamed: [20, 401] } },
    /^it answers later: .*first token after 401 ms \(200 ms\)/,
  ],
  [
    "later whole answers",
    { next: { ...good(40), whole: [20, 2001] } },
    /^it answers later: .*whole answers after 2001 ms \(1000 ms\)/,
  ],
  ["another state than up", { state: "DOWN" }, /^the new server does not answer its health check any more/],
  ["a check that just failed", { state: "MAINT" }, /^the new server does not answer/],
  ["a person who says so", { said: "revert" }, /^by hand: /],
])("%s: it is refused before its time is over", (_, more, why) => {
  expect(judged({ ...more, elapsed: 60 })).toEqual(["refuse", expect.stringMatching(why)]);
});

test("a share that its valve has ended is refused", () => {
  expect(judge("off\n")).toEqual(["refuse", expect.stringMatching(/nobody watched it for a minute/)]);
});

test("requests that hang are no success, though nothing has failed", () => {
  const next = { ...good(40), answered: 2, streamed: [1, 200], whole: [1, 1000] } as Counts;
  expect(judged({ next, elapsed: 1799 })[0]).toBe("wait");
  expect(judged({ next })).toEqual([
    "refuse",
    "it leaves requests without an answer: it began 2 of 40, the one before 760 of 760",
  ]);
});

test("requests that fail as often as on the server before are not taken for ones that hang", () => {
  const half = { ...good(40), failed: 20, answered: 20 } as Counts;
  expect(judged({ before: { ...good(760), failed: 380, answered: 380 }, next: half })[0]).toBe("promote");
});

describe("with very few requests", () => {
  const few = (failed = 0) => ({ ...good(4), failed, streamed: [2, 9000], whole: [2, 9000] }) as Counts;

  test("its proof counts, and it says so: times of few answers compare nothing", () => {
    expect(judged({ next: few() })).toEqual([
      "promote",
      "its proof counts, because only 4 requests came to it and 20 are needed to compare: 0 of its 4 requests failed (0 of 760 on the one before)",
    ]);
  });

  test("one that failed is enough, once the time is over", () => {
    expect(judged({ next: few(1), elapsed: 60 })[0]).toBe("wait");
    expect(judged({ next: few(1) })[0]).toBe("refuse");
  });

  test("none at all: it is promoted", () => {
    expect(judged({ next: { ...good(0) } })[0]).toBe("promote");
  });
});

test("factor 0 judges no times, and less than 100 ms are no difference", () => {
  const slow = { ...good(40), streamed: [20, 5000] } as Counts;
  expect(judged({ next: slow }, { ...MARGINS, factor: 0 })[0]).toBe("promote");
  const before = { ...good(760), streamed: [380, 10] } as Counts;
  expect(judged({ before, next: { ...good(40), streamed: [20, 110] } })[0]).toBe("promote");
  expect(judged({ before, next: { ...good(40), streamed: [20, 111] } })[0]).toBe("refuse");
});

const counts = fc.integer({ min: 0, max: 500 }).chain((asked) =>
  fc.integer({ min: 0, max: asked }).chain((failed) =>
    fc.record({
      asked: fc.constant(asked),
      failed: fc.constant(failed),
      answered: fc.integer({ min: 0, max: asked - failed }),
      streamed: fc.tuple(fc.integer({ min: 0, max: asked }), fc.integer({ min: 1, max: 100_000 })),
      whole: fc.tuple(fc.integer({ min: 0, max: asked }), fc.integer({ min: 1, max: 100_000 })),
    }),
  ),
) as fc.Arbitrary<Counts>;
const looks: fc.Arbitrary<Look> = fc.record({
  elapsed: fc.integer({ min: 0, max: 3600 }),
  said: fc.constant("-" as const),
  state: fc.constant("UP"),
  before: counts,
  next: counts,
});
const margins = fc.record({
  seconds: fc.integer({ min: 1, max: 3600 }),
  points: fc.integer({ min: 0, max: 100 }),
  factor: fc.constantFrom(0, 1, 1.5, 2, 10),
  least: fc.integer({ min: 1, max: 50 }),
});

test("every look has one verdict, and only the end of its time promotes", () => {
  fc.assert(
    fc.property(looks, margins, (look, margin) => {
      const [word, why] = judge(text(look), margin);
      expect(["wait", "promote", "refuse"]).toContain(word);
      expect(why).not.toBe("");
      if (look.elapsed < margin.seconds) expect(word).not.toBe("promote");
      else expect(word).not.toBe("wait");
    }),
  );
});

test("one that did exactly as the server before is never refused", () => {
  fc.assert(
    fc.property(looks, margins, (look, margin) => {
      expect(judge(text({ ...look, next: look.before }), margin)[0]).not.toBe("refuse");
    }),
  );
});

test("what is refused stays refused when more of its answers are failures, or come later still", () => {
  fc.assert(
    fc.property(looks, margins, fc.integer({ min: 1, max: 1000 }), (look, margin, more) => {
      fc.pre(judge(text(look), margin)[0] === "refuse");
      const { next } = look;
      const turned = Math.min(next.answered, more);
      const worse: Counts = {
        ...next,
        failed: next.failed + turned,
        answered: next.answered - turned,
        streamed: [next.streamed[0], next.streamed[1] + more],
        whole: [next.whole[0], next.whole[1] + more],
      };
      expect(judge(text({ ...look, next: worse }), margin)[0]).toBe("refuse");
    }),
  );
});

test("wider margins never refuse what narrower ones take", () => {
  fc.assert(
    fc.property(looks, margins, fc.integer({ min: 1, max: 50 }), (look, margin, more) => {
      fc.pre(margin.factor > 0 && judge(text(look), margin)[0] !== "refuse");
      const wider = { ...margin, points: margin.points + more, factor: margin.factor + more };
      expect(judge(text(look), wider)[0]).not.toBe("refuse");
    }),
  );
});
