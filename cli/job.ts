import { relative } from "node:path";
import { table } from "../configs/kit/table";
import {
  type JobFiles,
  listJobs,
  pruneJobs,
  renderJob,
  showJob,
  startJob,
  stopJob,
} from "../operations/jobs";
import { examples, group, printing, stackCommand } from "./command";
import { portNumber } from "./numbers";
import { say } from "./output";

const jobCommand = (name: string) =>
  stackCommand(name).option("--artifacts <dir>", "where jobs have their folders; default: artifacts/litellm");

const start = jobCommand("start")
  .description("Start a job's gateway, and wait until it serves.")
  .argument("<job>", "a job of gpubox:jobs")
  .option("--as <run>", "name of this run; default: the job's")
  .option("--port <port>", "another loopback port than the declared one", portNumber)
  .action(printing(async (job, options) => told(await startJob({ ...options, job, log: say }))));

const render = jobCommand("render")
  .description("Write a job's files for your own LiteLLM, and start nothing.")
  .argument("<job>", "a job of gpubox:jobs")
  .option("--as <run>", "name of this run; default: the job's")
  .option("--port <port>", "another loopback port than the declared one", portNumber)
  .action(printing(async (job, options) => told(await renderJob({ ...options, job, log: say }))));

const stop = jobCommand("stop")
  .description("Stop a run once it has answered and logged every request.")
  .argument("<run>")
  .action(printing(async (job, options) => (await stopJob(job, { ...options, log: say })) ?? { job }));

const show = jobCommand("show")
  .description("Show one run.")
  .argument("<run>")
  .action(
    printing(async (job, options) => {
      const shown = await showJob(job, options);
      for (const [key, value] of Object.entries({ ...shown.record, ...shown, record: undefined }))
        if (value !== undefined && value !== null) say(`${key.padEnd(14)} ${String(value)}`);
      return shown;
    }),
  );

const list = jobCommand("list")
  .description("List the runs.")
  .action(
    printing(async (options) => {
      const jobs = await listJobs(options);
      if (jobs.length === 0) say("no job was started");
      else
        for (const line of table(
          ["job", "state", "endpoint", "model", "MiB", "until"],
          jobs.map(({ job, state, record, memoryMiB }) => [
            ...[job, state, record?.endpoint ?? "", record?.model ?? ""],
            ...[String(memoryMiB ?? ""), state === "stopped" ? "" : (record?.expiresAt ?? "")],
          ]),
        ))
          say(line);
      return jobs;
    }),
  );

const prune = jobCommand("prune")
  .description("Stop the runs that are past their lifetime.")
  .action(
    printing(async (options) => {
      const ended = await pruneJobs({ ...options, log: say });
      if (ended.length === 0) say("no job is past its lifetime");
      return { ended };
    }),
  );

export const definition = group(
  "job",
  "Separate gateways for eval jobs (docs/jobs.md).",
  start,
  render,
  stop,
  show,
  list,
  prune,
).addHelpText("after", examples("job start nightly --as nightly-7", "job list", "job stop nightly-7"));

function told<Files extends JobFiles>(files: Files): Files {
  say(`  config  ${here(files.configFile)}`);
  say(`  key     LITELLM_MASTER_KEY in ${here(files.envFile)}`);
  say(`  log     ${here(files.logFolder)}/litellm-trajectory.jsonl`);
  return files;
}

function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}
