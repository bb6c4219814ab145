import fc from "fast-check";
import { wishOf } from "../../../../operations/bench/afterUp";
import { caseKey, casesOf } from "../../../../operations/bench/cases";
import { slowest } from "../../../../operations/bench/compare";
import type { CaseFigures } from "../../../../operations/bench/figures";
import { type BenchResult, resultBefore, withResult } from "../../../../operations/bench/results";
import { slowerWords, verdictOf } from "../../../../operations/bench/verdict";

const figures = (change: Partial<CaseFigures> = {}): CaseFigures => ({
  ...{ concurrency: 1, promptTokens: 128, outputTokens: 64, requests: 16, shared: false },
  ...{ answered: 16, failed: 0, promptCounted: 128, outputCounted: 64, cachedPercent: null },
  firstTokenMs: { p50: 100, p99: 200 },
  interTokenMs: { p50: 10, p99: 20 },
  tokensPerSecond: 100,
  ...change,
});
const result = (generation: string, cases = [figures()], at = "2026-01-01T00:00:00.000Z"): BenchResult => ({
  ...{ generation, at, cases },
});
const against = (now: CaseFigures[], before: CaseFigures[]) => slowest({ cases: now }, { cases: before });

describe("two generations", () => {
  test.each<[string, Partial<CaseFigures>, string, number]>([
    ["fewer tokens a second", { tokensPerSecond: 80 }, "tokens a second", 25],
    ["a later first token", { firstTokenMs: { p50: 150, p99: 200 } }, "time to first token", 50],
    ["more time between tokens", { interTokenMs: { p50: 13, p99: 20 } }, "inter-token latency", 30],
  ])("%s is slower by its part", (_, change, figure, slowerPercent) => {
    expect(against([figures(change)], [figures()])).toEqual({ figure, slowerPercent, promptTokens: 128 });
  });

  test("a few milliseconds, and a larger 99th percentile, are no difference", () => {
    const quick = { firstTokenMs: { p50: 5, p99: 6 }, interTokenMs: { p50: 0.1, p99: 0.2 } };
    const now = figures({ firstTokenMs: { p50: 14, p99: 900 }, interTokenMs: { p50: 1.05, p99: 9 } });
    expect(against([now], [figures(quick)])?.slowerPercent).toBe(0);
  });

  test("one disturbed case of three decides nothing, and a slower prefill of long prompts shows", () => {
    const at = (concurrency: number, promptTokens: number, p50: number) =>
      figures({ concurrency, promptTokens, firstTokenMs: { p50, p99: 1_000 } });
    const before = [1, 2, 4].flatMap((level) => [at(level, 128, 100), at(level, 1024, 400)]);
    const disturbed = [at(1, 128, 500), at(2, 128, 100), at(4, 128, 100)];
    expect(against(disturbed, before)?.slowerPercent).toBe(0);
    const prefill = [1, 2, 4].flatMap((level) => [at(level, 128, 100), at(level, 1024, 600)]);
    expect(against(prefill, before)).toEqual({
      ...{ figure: "time to first token", promptTokens: 1024, slowerPercent: 50 },
    });
  });

  test("compare only by cases that both have", () => {
    expect(against([figures({ shared: true })], [figures()])).toBeUndefined();
    const mixed = [figures({ concurrency: 8, tokensPerSecond: 1 }), figures()];
    expect(against(mixed, [figures()])?.slowerPercent).toBe(0);
  });

  test("are as fast as themselves, and the slower of the two is the same either way", () => {
    const drawn = fc.record({
      tokensPerSecond: fc.integer({ min: 1, max: 1_000 }),
      firstTokenMs: fc.record({ p50: fc.integer({ min: 1, max: 5_000 }), p99: fc.constant(5_000) }),
    });
    fc.assert(
      fc.property(drawn, drawn, (a, b) => {
        expect(against([figures(a)], [figures(a)])?.slowerPercent).toBe(0);
        const [there, back] = [against([figures(a)], [figures(b)])!, against([figures(b)], [figures(a)])!];
        // Both cannot be faster in everything.
        expect(Math.max(there.slowerPercent, back.slowerPercent)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe("the results of a model", () => {
  test("one generation has one, with the newest figures of each case; the rest of its cases stay", () => {
    const first = withResult([], result("a", [figures(), figures({ concurrency: 2 })]));
    const both = withResult(first, result("b"));
    const again = withResult(
      both,
      result("a", [figures({ tokensPerSecond: 50 })], "2026-02-01T00:00:00.000Z"),
    );
    expect(again.map(({ generation, at }) => [generation, at.slice(0, 7)])).toEqual([
      ["b", "2026-01"],
      ["a", "2026-02"],
    ]);
    expect(again[1]!.cases.map((one) => [caseKey(one), one.tokensPerSecond])).toEqual([
      ["1x 128+64", 50],
      ["2x 128+64", 100],
    ]);
  });

  test("ten generations stay, and each is compared with the one that was measured before it", () => {
    const all = Array.from({ length: 13 }, (_, index) => `g${index}`).reduce(
      (kept, generation) => withResult(kept, result(generation)),
      [] as BenchResult[],
    );
    expect(all.map(({ generation }) => generation)).toEqual([
      "g3",
      "g4",
      "g5",
      "g6",
      "g7",
      "g8",
      "g9",
      "g10",
      "g11",
      "g12",
    ]);
    expect(resultBefore(all, "g7")?.generation).toBe("g6");
    expect([resultBefore(all, "g3"), resultBefore(all, "gone")]).toEqual([undefined, undefined]);
  });

  test.each<[number, number | undefined, string]>([
    [111, undefined, "fine"],
    [110, undefined, "fine"],
    [109, undefined, "fine"],
    [108, undefined, "slower"],
    [50, undefined, "slower"],
    [97, 25, "slower"],
    [96, 25, "slower"],
    [95, 25, "refused"],
  ])(
    "%s tokens a second after 120, with the bar at %s %%, are %s",
    (tokensPerSecond, refusePercent, kind) => {
      const now = tokensPerSecond;
      const results = [
        result("a", [figures({ tokensPerSecond: 120 })]),
        result("b", [figures({ tokensPerSecond: now })]),
      ];
      expect(verdictOf(results, "b", { tellPercent: 10, refusePercent }).kind).toBe(kind);
    },
  );

  test("a generation that was never measured is that, and the first one is fine", () => {
    const bench = { tellPercent: 10, refusePercent: 25 };
    expect(verdictOf([result("a")], "b", bench)).toEqual({ kind: "unmeasured" });
    expect(verdictOf([result("a")], "a", bench)).toEqual({ kind: "fine" });
  });

  test("the difference is told in words", () => {
    const difference = { figure: "tokens a second", promptTokens: 1024, slowerPercent: 31 } as const;
    expect(slowerWords("tiny", difference)).toBe(
      "tiny is 31 % slower by its tokens a second, with prompts of 1024 tokens, than its server before",
    );
  });

  test("`up` asks again for the cases that a result has", () => {
    const cases = [1, 4].flatMap((concurrency) =>
      [128, 1024].map((promptTokens) => figures({ concurrency, promptTokens, requests: 8 })),
    );
    const again = casesOf(wishOf({ cases: [...cases, figures({ shared: true })] }), { busy: 0 }).cases;
    expect(again.map(caseKey)).toEqual(cases.map(caseKey));
    expect(again.map(({ requests }) => requests)).toEqual([8, 8, 8, 8]);
  });
});
