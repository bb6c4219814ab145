import { join } from "node:path";
import { type StartedJob, startJob, stopJob } from "../../operations/jobs";
import type { LoadBox } from "../load/box";
import { complete } from "../support/box";
import { jobKey } from "../support/jobs";
import { median, seconds, table, verdict } from "./figures";
import { startBare } from "./start";

/** What a job's start may take of a bare LiteLLM's, from the call of `startJob` on. */
const BAR = 1.3;

export interface JobFigures {
  bareMs: number;
  jobMs: number;
  ratio: number;
  /** All of them, from the first call until the last one is ready. */
  allMs: number;
  memoryMiB: number[];
}

/** One job against a bare LiteLLM, in turns; then `count` jobs at once, with what they hold in memory. */
export async function benchJobs(
  box: LoadBox,
  { runs, count, port }: { runs: number; count: number; port: number },
  say: (line: string) => void,
): Promise<JobFigures> {
  const { project } = box;
  const options = {
    stack: project.stack,
    projectDir: project.dir,
    artifacts: join(project.dir, "artifacts/litellm"),
  };
  const start = (index: number) =>
    startJob({
      ...options,
      as: `run-${index}`,
      job: {
        upstream: { baseUrl: `http://gpubox-${project.stack}-stub:8000/v1`, model: "echo" },
        port: port + index,
      },
    });
  const bare: number[] = [];
  const job: number[] = [];
  const own: number[] = [];
  for (let run = 0; run < runs; run++) {
    bare.push(await startBare(box));
    const began = Date.now();
    const started = await start(0);
    job.push(Date.now() - began);
    own.push(started.startSeconds * 1000);
    await stopJob(started.job, options);
  }
  const ratio = median(job) / median(bare);
  const rows = [
    ["bare LiteLLM: `docker run` to readiness", seconds(median(bare))],
    ["a job: `startJob` to ready", seconds(median(job))],
    ["- of that, its container and LiteLLM", seconds(median(own))],
  ];
  say(`\n${table([`start of a job, ${runs} runs`, "seconds"], rows)}`);
  say(`ratio to a bare start: ${verdict(ratio, BAR)}`);

  const began = Date.now();
  const all: StartedJob[] = await Promise.all(Array.from({ length: count }, (_, index) => start(index)));
  const allMs = Date.now() - began;
  const answers = await Promise.all(
    all.map(({ endpoint, model, job: name }) => complete(endpoint, jobKey(project, name), model)),
  );
  const wrong = answers.filter((text) => text !== "pong:0 ");
  const memoryMiB = all.map((one) => one.memoryMiB ?? Number.NaN);
  await Promise.all(all.map(({ job: name }) => stopJob(name, options)));
  const sum = memoryMiB.reduce((total, one) => total + one, 0);
  say(
    `\n${table(
      [`${count} jobs at once`, ""],
      [
        ["first call to last one ready, s", seconds(allMs)],
        ["memory of one, MiB", String(median(memoryMiB))],
        ["memory of all, MiB", String(sum)],
        ["calls that were not answered right", String(wrong.length)],
      ],
    )}`,
  );
  return { bareMs: median(bare), jobMs: median(job), ratio, allMs, memoryMiB };
}
