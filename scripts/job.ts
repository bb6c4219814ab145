import { relative } from "node:path";
import {
  type JobFiles,
  type ListedJob,
  listJobs,
  pruneJobs,
  renderJob,
  showJob,
  startJob,
  stopJob,
} from "../runner/jobs";
import { UserError } from "../runner/process";
import { table } from "./table";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "job",
  does: "Gateways of their own for eval jobs (docs/jobs.md): start waits until one serves, render writes its files for a LiteLLM of your own, stop until it has answered and logged what it has, prune ends those that are past their lifetime.",
  words: "start|render|stop|show JOB, list, prune",
  options: {
    stack: stackOption,
    as: { type: "string", value: "RUN", help: "start, render: name of this run; default: the job's" },
    port: { type: "string", value: "N", help: "start: another loopback port than the declared one" },
    artifacts: {
      type: "string",
      value: "FOLDER",
      help: "where jobs have their folders; default: artifacts/litellm",
    },
  },
} as const;

verb(about, async ({ values, positionals: [action, job, ...rest] }) => {
  const options = { stack: values.stack, artifacts: values.artifacts, log: say };
  const takesJob = ["start", "render", "stop", "show"].includes(action ?? "");
  if (!takesJob && !["list", "prune"].includes(action ?? ""))
    throw new UserError(
      action ? `There is no "${action}".` : "What to do is missing.",
      "Choose from: start, render, stop, show, list, prune.",
    );
  if (takesJob !== (job !== undefined) || rest.length > 0)
    throw new UserError(
      takesJob ? "The name of one job is needed." : `${action} takes no name.`,
      "For example: npm run job start NAME, npm run job list.",
    );
  switch (action) {
    case "start": {
      const started = await startJob({ ...options, job: job!, as: values.as, port: portOf(values.port) });
      return told(started);
    }
    case "render":
      return told(await renderJob({ ...options, job: job!, as: values.as, port: portOf(values.port) }));
    case "stop":
      return (await stopJob(job!, options)) ?? { job };
    case "show": {
      const shown = await showJob(job!, options);
      for (const [key, value] of Object.entries({ ...shown.record, ...shown, record: undefined }))
        if (value !== undefined && value !== null) say(`${key.padEnd(14)} ${String(value)}`);
      return shown;
    }
    case "prune": {
      const ended = await pruneJobs(options);
      if (ended.length === 0) say("no job is past its lifetime");
      return { ended };
    }
    default:
      return list(await listJobs(options));
  }
});

function told<Files extends JobFiles>(files: Files): Files {
  say(`  config  ${here(files.configFile)}`);
  say(`  key     LITELLM_MASTER_KEY in ${here(files.envFile)}`);
  say(`  log     ${here(files.logFolder)}/litellm-trajectory.jsonl`);
  return files;
}

function list(jobs: ListedJob[]): ListedJob[] {
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
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new UserError(`"${text}" is no port.`, "Write a number from 1 to 65535.");
}

function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}
