import fc from "fast-check";
import type { CaseFigures } from "../../../../operations/bench/figures";
import { benchPicture, scaleTop } from "../../../../operations/bench/picture";
import { figuresTable, milliseconds } from "../../../../operations/bench/text";

const figures = (change: Partial<CaseFigures> = {}): CaseFigures => ({
  ...{ concurrency: 1, promptTokens: 128, outputTokens: 64, requests: 16, shared: false },
  ...{ answered: 16, failed: 0, promptCounted: 127.6, outputCounted: 64, cachedPercent: null },
  firstTokenMs: { p50: 101.4, p99: 203 },
  interTokenMs: { p50: 9.874, p99: 20.21 },
  tokensPerSecond: 88.06,
  ...change,
});

/** The tags of a text, opened and closed as XML wants it; throws where it is not well formed. */
function elements(xml: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  // Without Jest's matchers, which take most of the time of a property.
  const holds = (what: string, is: boolean) => {
    if (!is) throw new Error(`not well formed: ${what}`);
  };
  for (const [whole, end, name, attributes, empty] of xml.matchAll(/<(\/?)([a-z]+)([^<>]*?)(\/?)>/g)) {
    if (end) {
      holds(whole, whole === `</${open.pop()}>`);
      continue;
    }
    holds(whole, /^( [a-zA-Z][\w-]*="[^"<>]*")*$/.test(attributes!));
    seen.push(name!);
    if (!empty) open.push(name!);
  }
  holds(open.join(), open.length === 0);
  const text = xml.replace(/<\/?[a-z]+[^<>]*>/g, "");
  holds(text, !/[<>]|&(?!(amp|lt|gt|quot);)/.test(text));
  return seen;
}

describe("the picture", () => {
  const now = [1, 2, 4].flatMap((concurrency) =>
    [128, 1024].map((promptTokens) => figures({ concurrency, promptTokens })),
  );

  test("has a line for each length in each panel, a mark for each case, and the generation before dashed", () => {
    const svg = benchPicture({ title: "tiny", now, before: now });
    const count = (name: string) => elements(svg).filter((one) => one === name).length;
    expect([count("svg"), count("g"), count("polyline"), count("circle")]).toEqual([1, 3, 3 * 2 * 2, 3 * 6]);
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(3 * 2);
    for (const words of ["tokens a second", "time to first token, ms", "inter-token latency, ms"])
      expect(svg).toContain(words);
    expect(svg).toContain("<title>4 at a time: 101, p99 203</title>");
    for (const words of ["prompts of 128", "prompts of 1024", "dashed: the generation before"])
      expect(svg).toContain(`>${words}</text>`);
  });

  test("of one case is that case, and asks for nothing from elsewhere", () => {
    const svg = benchPicture({ title: "tiny", now: [figures({ interTokenMs: null })] });
    expect(elements(svg).filter((one) => one === "circle")).toHaveLength(2);
    expect(svg).not.toMatch(/polyline|dashed|href|<script|url\(/);
    expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', "")).not.toContain("http");
  });

  test("is well formed whatever a model is called, and no mark lies outside of it", () => {
    const positive = fc.double({ noNaN: true, min: 0.001, max: 1e6 });
    const drawn = fc.record({
      concurrency: fc.constantFrom(1, 2, 16, 64),
      promptTokens: fc.constantFrom(1, 128, 32_768),
      shared: fc.boolean(),
      firstTokenMs: fc.record({ p50: positive, p99: positive }),
      tokensPerSecond: positive,
    });
    const odd = [
      "<",
      ">",
      "&",
      '"',
      "'",
      "]]>",
      "<!--",
      "\u0000",
      "\u001b",
      "\ud800",
      "\ufffe",
      "é",
      "😀",
      "/",
      " ",
      "a",
    ];
    const title = fc.array(fc.constantFrom(...odd), { maxLength: 12 }).map((parts) => parts.join(""));
    const cases = fc.array(drawn.map(figures), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(title, cases, cases, (title, some, before) => {
        const svg = benchPicture({ title, now: some, before });
        elements(svg);
        const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
        for (const [, x, y] of svg.matchAll(/<circle cx="([^"]+)" cy="([^"]+)"/g)) {
          const inside = Number(x) >= 0 && Number(x) <= width! && Number(y) >= 40 && Number(y) <= height!;
          if (!inside) throw new Error(`${x}, ${y} is outside of ${width} x ${height}`);
        }
      }),
    );
  });

  test("an axis ends at the next round value", () => {
    expect([0, 0.07, 1, 1.01, 2.4, 26, 88, 500, 501].map(scaleTop)).toEqual([
      1, 0.1, 1, 2, 2.5, 50, 100, 500, 1000,
    ]);
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: 1e-6, max: 1e12 }), (most) => {
        expect(scaleTop(most)).toBeGreaterThanOrEqual(most * (1 - 1e-6));
        expect(scaleTop(most)).toBeLessThanOrEqual(most * 2.5);
      }),
    );
  });
});

describe("the table", () => {
  test("has a line for each case, times as medians beside their 99th percentile", () => {
    const all = [
      figures(),
      figures({ concurrency: 16, cachedPercent: 88.9, interTokenMs: null, failed: 2, answered: 14 }),
    ];
    expect(figuresTable(all).map((line) => line.trim().split(/ {2,}/))).toEqual([
      [
        ...["AT A TIME", "PROMPT", "CACHED", "OUTPUT", "FIRST TOKEN ms", "p99"],
        ...["BETWEEN TOKENS ms", "p99", "TOKENS/s", "ANSWERED"],
      ],
      ["1", "128", "–", "64", "101", "203", "9.87", "20.2", "88.1", "16"],
      ["16", "128", "89 %", "64", "101", "203", "–", "–", "88.1", "14 of 16"],
    ]);
  });

  test("a value has three figures", () => {
    expect([0.4, 9.996, 10, 99.94, 100.4, 12_345].map(milliseconds)).toEqual([
      "0.40",
      "10.00",
      "10.0",
      "99.9",
      "100",
      "12345",
    ]);
  });
});
