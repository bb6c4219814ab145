import fc from "fast-check";
import { type BenchCase, caseKey, casesOf, WISH } from "../../../../operations/bench/cases";
import { figuresOf, percentile, type Sample } from "../../../../operations/bench/figures";

const one: BenchCase = { concurrency: 2, promptTokens: 100, outputTokens: 10, requests: 4, shared: false };
const sample = (change: Partial<Sample> = {}): Sample => ({
  ...{ began: 0, first: 0.1, last: 1, ended: 1.05, pieces: 10, prompt: 100, cached: null, output: 10 },
  ...change,
});

describe("a percentile", () => {
  const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 60 });
  const part = fc.double({ noNaN: true, min: 0, max: 1 });

  test("is one of the values, which so many do not exceed, and no smaller one has as many", () => {
    fc.assert(
      fc.property(values, part, (all, share) => {
        const found = percentile(all, share);
        const reach = (value: number) => all.filter((other) => other <= value).length;
        expect(all).toContain(found);
        expect(reach(found)).toBeGreaterThanOrEqual(all.length * share - 1e-9);
        for (const smaller of all.filter((value) => value < found))
          expect(reach(smaller)).toBeLessThan(Math.max(1, all.length * share));
      }),
    );
  });

  test("depends on no order, and grows with its part", () => {
    fc.assert(
      fc.property(values, part, part, (all, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(percentile([...all].reverse(), a)).toBe(percentile(all, a));
        expect(percentile(all, low)).toBeLessThanOrEqual(percentile(all, high));
      }),
    );
  });

  test("of 16 values the 99th is the largest, and the 50th the eighth", () => {
    const all = Array.from({ length: 16 }, (_, index) => index + 1);
    expect([percentile(all, 0.99), percentile(all, 0.5)]).toEqual([16, 8]);
    expect(() => percentile([], 0.5)).toThrow("no percentile of nothing");
  });
});

describe("the figures of a case", () => {
  test("are taken from tokens of the server and times of the stream", () => {
    const samples = [
      sample({ cached: 80 }),
      sample({ began: 1, first: 1.2, last: 2.1, ended: 3, output: 4, pieces: 30, prompt: 120, cached: 30 }),
    ];
    expect(figuresOf(one, samples, 1)).toEqual({
      ...one,
      ...{ answered: 2, failed: 1, promptCounted: 110, outputCounted: 7, cachedPercent: 50 },
      firstTokenMs: { p50: 100, p99: 200 },
      // 900 ms by 9, and 900 ms by 3: the pieces count for nothing.
      interTokenMs: { p50: 100, p99: 300 },
      // 14 tokens within 3 s.
      tokensPerSecond: 4.67,
    });
  });

  test("an answer of one token has no latency between tokens, and one uncounted cache makes the part unknown", () => {
    const found = figuresOf(one, [sample({ output: 1, cached: 3 }), sample({ output: 1 })], 0)!;
    expect([found.interTokenMs, found.cachedPercent]).toEqual([null, null]);
    expect(figuresOf(one, [], 3)).toBeUndefined();
  });

  test("a time that all samples are later by changes nothing", () => {
    const times = fc.tuple(...Array(4).fill(fc.integer({ min: 0, max: 5_000 })));
    const samples = fc.array(
      fc.record({
        times,
        output: fc.integer({ min: 1, max: 500 }),
        prompt: fc.integer({ min: 1, max: 9_000 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 1_000 }), (drawn, later) => {
        const at = (shift: number) =>
          drawn.map(({ times, ...rest }) => {
            const [a, b, c, d] = [...(times as number[])].sort((x, y) => x - y);
            const seconds = (ms: number) => ms / 1024 + shift;
            return sample({
              ...rest,
              ...{ began: seconds(a!), first: seconds(b!), last: seconds(c!), ended: seconds(d! + 1) },
            });
          });
        const [now, then] = [figuresOf(one, at(0), 0)!, figuresOf(one, at(later), 0)!];
        expect(then).toEqual(now);
        expect(now.firstTokenMs.p50).toBeLessThanOrEqual(now.firstTokenMs.p99);
        expect(now.tokensPerSecond).toBeGreaterThan(0);
      }),
    );
  });
});

describe("the cases of a wish", () => {
  const levels = (found: ReturnType<typeof casesOf>) => [
    ...new Set(found.cases.map(({ concurrency }) => concurrency)),
  ];

  test("are every level with every length, the cheapest first, each of two rounds at least", () => {
    const { cases, notes } = casesOf({ ...WISH, concurrency: [16, 1, 16], requests: 4 }, { busy: 3 });
    expect(cases.map(caseKey)).toEqual(["1x 128+64", "1x 1024+64", "16x 128+64", "16x 1024+64"]);
    expect([cases.map(({ requests }) => requests), notes]).toEqual([[4, 4, 32, 32], []]);
  });

  test("stay within maxParallel less what others have now, and the rest is told", () => {
    const found = casesOf(WISH, { atOnce: 5, busy: 1 });
    expect([levels(found), found.notes]).toEqual([
      [1, 2, 4],
      ["8 at a time: left out, maxParallel admits 5 at a time and one of others runs now"],
    ]);
  });

  test("are those at the bound where the wish is above it, and none where others have all", () => {
    expect(levels(casesOf({ ...WISH, concurrency: [8] }, { atOnce: 3, busy: 0 }))).toEqual([3]);
    expect(casesOf(WISH, { atOnce: 3, busy: 3 })).toEqual({
      cases: [],
      notes: ["1, 2, 4, 8 at a time: left out, maxParallel admits 3 at a time and 3 of others run now"],
    });
  });

  test("take at most half of what the model may be asked in a minute", () => {
    // 17 requests each for the first two, of 51 less 2 to learn words.
    const { cases, notes } = casesOf({ ...WISH, concurrency: [1, 2] }, { busy: 0, rpm: 102 });
    expect([cases.length, notes]).toEqual([
      2,
      [
        "2 of 4 cases: left out, the load takes at most half of what the model's rpm and tpm admit in a minute",
      ],
    ]);
    // 17 x (128 + 64) = 3264 tokens.
    expect(casesOf(WISH, { busy: 0, tpm: 6_528 }).cases).toHaveLength(1);
    expect(casesOf(WISH, { busy: 0, tpm: 6_526 }).cases).toHaveLength(0);
  });

  test("never exceed any limit", () => {
    const limit = fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined });
    const counts = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(counts, limit, limit, fc.nat(20), (concurrency, atOnce, rpm, busy) => {
        const { cases, notes } = casesOf({ ...WISH, concurrency }, { atOnce, rpm, busy });
        for (const one of cases)
          expect(one.concurrency).toBeLessThanOrEqual((atOnce ?? 64) - (atOnce ? busy : 0));
        const requests = cases.reduce((sum, one) => sum + one.requests + one.concurrency, 2);
        if (rpm !== undefined && cases.length > 0) expect(requests).toBeLessThanOrEqual(rpm / 2);
        const wanted = new Set(concurrency).size * WISH.promptTokens.length;
        if (cases.length < wanted) expect(notes).not.toEqual([]);
      }),
    );
  });
});
