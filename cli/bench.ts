import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { acceptSpeed } from "../operations/bench/accept";
import { type BenchReport, benchModel } from "../operations/bench/benchModel";
import { WISH } from "../operations/bench/cases";
import { differenceWords } from "../operations/bench/compare";
import { benchPicture } from "../operations/bench/picture";
import { figuresTable, milliseconds } from "../operations/bench/text";
import { asUserError } from "../platform/docker/archive";
import { ensureProjectFolders, projectPaths } from "../platform/project";
import { openStack } from "../platform/stack/openStack";
import { examples, group, hostCommand, printing } from "./command";
import { countNumber, countNumbers } from "./numbers";
import { say } from "./output";
import { onInterrupt } from "./run";

/** Exit code after Ctrl-C, as in shells. */
const INTERRUPTED = 130;

const model = hostCommand("model")
  .description(
    "Measure time to first token, inter-token latency and tokens a second of one model, as its clients see them. Keeps the figures with the server's generation, on the host.",
  )
  .argument("<model>")
  .option("--concurrency <n,n,…>", "requests at a time", countNumbers, WISH.concurrency)
  .option("--prompt-tokens <n,n,…>", "tokens of the prompts, about", countNumbers, WISH.promptTokens)
  .option("--output-tokens <count>", "tokens of an answer at most", countNumber, WISH.outputTokens)
  .option("--requests <count>", "requests of each case, at least two rounds", countNumber, WISH.requests)
  .option("--seconds <count>", "end the load after so many seconds, done or not", countNumber, 300)
  .option("--shared-prefix", "nine tenths of each prompt are the same: shows the prefix cache", false)
  .option("--picture <file>", "where the SVG goes; default: .gpubox/bench-<stack>-<model>.svg")
  .addHelpText("after", examples("bench model qwen3", "bench model qwen3 --concurrency 1,16 --shared-prefix"))
  .action(
    printing(async (called, options) => {
      const { projectDir, plan, config, secrets } = await openStack(options.stack);
      const over = new AbortController();
      const release = onInterrupt(() => over.abort());
      try {
        const report = await benchModel({ plan, config, secrets }, called, {
          wish: { ...options, shared: options.sharedPrefix },
          seconds: options.seconds,
          signal: over.signal,
          log: say,
          onFigures: (one) =>
            say(
              `  ${one.concurrency} at a time, ${Math.round(one.promptCounted)} tokens: ${milliseconds(one.tokensPerSecond)} tokens/s`,
            ),
        });
        for (const line of reportText(report, config.bench.tellPercent)) say(line);
        if (over.signal.aborted) process.exitCode = INTERRUPTED;
        else if (report.cases.length === 0) process.exitCode = 1;
        if (report.cases.length === 0) return { ...report, picture: null };
        const picture = options.picture
          ? resolve(options.picture)
          : join(ownFolder(projectDir), `bench-${options.stack}-${fileName(report.model)}.svg`);
        draw(picture, report);
        say(`picture: ${picture}`);
        return { ...report, picture };
      } finally {
        release();
      }
    }),
  );

const accept = hostCommand("accept")
  .description("Take the speed of a model's server as it is: what was measured before it no longer counts.")
  .argument("<model>")
  .action(
    printing(async (called, { stack }) => {
      const { plan, config } = await openStack(stack);
      const accepted = await acceptSpeed({ plan, config }, called);
      say(`${accepted.model}: the next server is compared with generation ${accepted.generation}`);
      return accepted;
    }),
  );

export const definition = group("bench", "How fast a model is (docs/bench.md).", model, accept);

function reportText(report: BenchReport, tellPercent: number): string[] {
  const { model, generation, cases, before, difference, notes } = report;
  const slower = difference && difference.slowerPercent > tellPercent;
  return [
    ...(cases.length > 0 ? ["", `${model}, generation ${generation}`, ...figuresTable(cases)] : []),
    ...notes.map((note) => `  note: ${note}`),
    ...(before && !difference
      ? [`generation ${before.generation} was measured with other cases, and does not compare`]
      : []),
    ...(before && difference
      ? [
          slower
            ? `SLOWER than generation ${before.generation}: ${differenceWords(difference)}`
            : `not more than ${tellPercent} % slower than generation ${before.generation}`,
        ]
      : []),
  ];
}

function draw(path: string, { stack, model, generation, cases, before }: BenchReport): void {
  const title = `${model} on ${stack}, generation ${generation}`;
  try {
    writeFileSync(path, benchPicture({ title, now: cases, before: before?.cases }));
  } catch (error) {
    throw asUserError(error);
  }
}

function ownFolder(projectDir: string): string {
  ensureProjectFolders(projectDir);
  return projectPaths(projectDir).root;
}

/** A model's name may have slashes. */
function fileName(model: string): string {
  return model.replace(/[^A-Za-z0-9._-]+/g, "-");
}
