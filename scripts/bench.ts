import { UserError } from "../runner/process";
import { benchJobs } from "../test/bench/jobs";
import { benchLogging } from "../test/bench/logging";
import { benchOverhead, LOCAL_MODEL } from "../test/bench/overhead";
import { benchPreview, SIZES } from "../test/bench/preview";
import { benchStart } from "../test/bench/start";
import { LoadBox } from "../test/load/box";
import { hasDocker, hasPulumi } from "../test/support/project";
import { say, verb } from "./verb";

const parts = ["start", "preview", "overhead", "logging", "jobs"];

const about = {
  name: "bench",
  does: `Measures how fast a box changes, what edge, valve and log cost, and how fast jobs start, on boxes of its own. Parts: ${parts.join(", ")}.`,
  words: "[PART …]",
  options: {
    runs: { type: "string", default: "3", value: "N", help: "changes to measure; default: 3" },
    jobs: { type: "string", default: "20", value: "N", help: "jobs at once; default: 20" },
    requests: { type: "string", default: "300", value: "N", help: "requests on each way; default: 300" },
    sizes: {
      type: "string",
      default: SIZES.join(","),
      value: "N,N,…",
      help: `models of the previews; default: ${SIZES.join(",")}`,
    },
    port: {
      type: "string",
      default: "4500",
      value: "PORT",
      help: "first of the ports that the boxes use, 20 and one for each job; default: 4500",
    },
  },
} as const;

verb(about, async ({ values: options, positionals }) => {
  if (!hasDocker || !hasPulumi)
    throw new UserError(
      "The bench needs a Docker engine and Pulumi.",
      "Run `npm run up` once: it brings both.",
    );
  const unknown = positionals.filter((part) => !parts.includes(part));
  if (unknown.length > 0)
    throw new UserError(`There is no part ${unknown.join(", ")}.`, `Choose from: ${parts.join(", ")}.`);
  const numbers = [options.runs, options.requests, options.port, options.jobs, ...options.sizes.split(",")];
  if (!numbers.every((text) => /^[1-9]\d*$/.test(text)))
    throw new UserError(
      "An option is not a whole number above 0.",
      "For example: --runs 3 --requests 300 --sizes 1,10,50,100 --port 4500.",
    );
  const wanted = positionals.length > 0 ? positionals : parts;
  const [runs, requests, port] = [options.runs, options.requests, options.port].map(Number) as [
    number,
    number,
    number,
  ];

  const result: Record<string, unknown> = {};
  if (["start", "overhead", "logging", "jobs"].some((part) => wanted.includes(part))) {
    say("bringing up the stack bench1");
    const box = await LoadBox.open("bench1", port, { tiny: LOCAL_MODEL });
    try {
      if (wanted.includes("start")) result.start = await benchStart(box, runs, say);
      if (wanted.includes("overhead")) result.overhead = await benchOverhead(box, requests, say);
      if (wanted.includes("logging")) await benchLogging(box, requests, say);
      if (wanted.includes("jobs"))
        result.jobs = await benchJobs(box, { runs, count: Number(options.jobs), port: port + 20 }, say);
    } finally {
      box.close();
    }
  }
  if (wanted.includes("preview")) {
    say("\nbringing up the stack bench2");
    const sizes = options.sizes.split(",").map(Number);
    result.preview = await benchPreview({ stack: "bench2", port: port + 10, runs, sizes }, say);
  }
  return result;
});
