import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CaseFigures } from "../../../operations/bench/figures";
import { keptSchema } from "../../../operations/bench/results";
import { benchWords } from "../../support/benchWords";
import { editStack } from "../../support/box";
import { gpubox, type TestProject } from "../../support/project";

const MINUTE = 60_000;

/** The least load that has several levels and lengths. */
const SMALL = benchWords({ concurrency: "1,2", promptTokens: "96,384", outputTokens: 16, requests: 4 });

/** A box with a llama.cpp that chats, `tools`, one that embeds, `vectors`, and a model that another server has, `recorder`. */
export function testModelSpeed(box: () => { project: TestProject; key: string }): void {
  const bench = async (...words: string[]) => {
    const { project, key } = box();
    const done = await gpubox(project, "bench", ...words, "--json");
    expect(done.stdout + done.stderr).not.toContain(key);
    return { code: done.code, said: done.stderr, result: JSON.parse(done.stdout) };
  };
  const keptFile = () => join(box().project.dataDir, "bench/tools.json");
  const kept = () => keptSchema.parse(JSON.parse(readFileSync(keptFile(), "utf8")));

  test(
    "a model's speed is measured through edge and gateway, by the tokens that its server counts, and kept",
    async () => {
      const { code, said, result } = await bench("model", "tools", ...SMALL);
      expect([code, result.notes, code === 0 || said]).toEqual([0, [], true]);
      const cases = result.cases as CaseFigures[];
      expect(cases.map((one) => [one.concurrency, one.promptTokens, one.answered, one.failed])).toEqual([
        [1, 96, 4, 0],
        [1, 384, 4, 0],
        [2, 96, 4, 0],
        [2, 384, 4, 0],
      ]);
      for (const one of cases) {
        expect(one.outputCounted).toBe(16);
        // Random words differ in length, and the canned model counts bytes.
        expect(Math.abs(one.promptCounted - one.promptTokens)).toBeLessThan(0.3 * one.promptTokens);
        expect(one.firstTokenMs.p50).toBeGreaterThan(0);
        expect(one.tokensPerSecond).toBeGreaterThan(0);
      }
      expect(kept().results).toEqual([
        { generation: result.generation, at: expect.any(String), cases: result.cases },
      ]);
      expect(readFileSync(result.picture, "utf8")).toMatch(/^<svg /);
    },
    2 * MINUTE,
  );

  test(
    "prompts find nothing in the prefix cache, unless they share their beginning",
    async () => {
      const one = benchWords({ concurrency: "1", promptTokens: "384", outputTokens: 16, requests: 4 });
      const cached = async (...more: string[]) =>
        ((await bench("model", "tools", ...one, ...more)).result.cases as CaseFigures[])[0]!.cachedPercent!;
      expect(await cached()).toBeLessThan(20);
      expect(await cached("--shared-prefix")).toBeGreaterThan(60);
    },
    2 * MINUTE,
  );

  test.each([
    ["vectors", "vectors has the mode embedding", "Name a model with mode: chat or completion."],
    ["recorder", "recorder is served elsewhere", "Measure it on the box that serves it"],
    ["tolls", 'has no model "tolls"', 'Did you mean "tools"?'],
  ])("%s is not measured, and says why", async (model, what, fix) => {
    const { code, result } = await bench("model", model);
    expect([code, result.error.what, result.error.fix]).toEqual([
      1,
      expect.stringContaining(what),
      expect.stringContaining(fix),
    ]);
  });

  test(
    "`up` measures a server that is new, refuses it where it is slower than the bar allows, and can be told to take it",
    async () => {
      const { project } = box();
      const now = kept().results.at(-1);
      const fast = (one: CaseFigures) => ({ ...one, tokensPerSecond: 1_000 * one.tokensPerSecond });
      // As if the server before had been a thousand times as fast.
      const cases = now!.cases
        .filter(({ shared }) => !shared)
        .slice(0, 1)
        .map(fast);
      mkdirSync(dirname(keptFile()), { recursive: true });
      const before = { generation: "before", at: "2026-01-01T00:00:00.000Z", cases };
      writeFileSync(keptFile(), `${JSON.stringify({ model: "tools", results: [before] })}\n`);
      editStack(project, (config) => Object.assign(config, { "gpubox:bench": { refusePercent: 300 } }));
      const up = await gpubox(project, "up", "--yes");
      expect(up.code).toBe(1);
      expect(up.stdout).toMatch(
        /^speed of tools, 120 s at most\n {2}tools is \d{5,} % slower .* once more$/m,
      );
      expect(up.stderr).toMatch(
        /^error: tools is \d{5,} % slower by its tokens a second, .*refusePercent allows 300 %\. It serves meanwhile\.$/m,
      );
      expect(kept().results.map(({ generation }) => generation)).toEqual(["before", now!.generation]);
      expect((await bench("accept", "tools")).result).toEqual({
        model: "tools",
        generation: now!.generation,
      });
      expect(kept().results.map(({ generation }) => generation)).toEqual([now!.generation]);
      expect(existsSync(`${keptFile()}.new`)).toBe(false);
    },
    5 * MINUTE,
  );
}
