import { Command } from "@commander-js/extra-typings";
import { printing } from "../cli/command";
import { countNumber, countNumbers, portNumber } from "../cli/numbers";
import { say } from "../cli/output";
import { runProgram, strict } from "../cli/run";
import { UserError } from "../platform/process";
import { benchDatabase } from "../test/bench/database";
import { benchJobs } from "../test/bench/jobs";
import { benchLogging } from "../test/bench/logging";
import { benchOverhead, LOCAL_MODEL } from "../test/bench/overhead";
import { benchPreview, SIZES } from "../test/bench/preview";
import { benchReplicas } from "../test/bench/replicas";
import { benchRivals } from "../test/bench/rivals";
import { benchStart } from "../test/bench/start";
import { LoadBox } from "../test/load/box";
import { missing } from "../test/support/needs";

const parts = ["start", "preview", "overhead", "rivals", "replicas", "logging", "jobs", "database"];

const program = new Command("bench")
  .description(
    `Measure how fast a box changes, what edge, valve, log and database cost, and how fast jobs start, on boxes of its own. Parts: ${parts.join(", ")}.`,
  )
  .argument("[part...]", "default: all")
  .option("--json", "print one JSON document on standard output")
  .option("--runs <count>", "changes to measure", countNumber, 3)
  .option("--jobs <count>", "jobs at once", countNumber, 20)
  .option("--requests <count>", "requests on each way", countNumber, 300)
  .option("--sizes <n,n,…>", "models of the previews", countNumbers, SIZES)
  .option("--port <port>", "first of the ports that the boxes use, 20 and one for each job", portNumber, 4500)
  .action(
    printing(async (positionals, { runs, jobs, requests, sizes, port }) => {
      if (missing("docker", "pulumi").length > 0)
        throw new UserError(
          "The bench needs a Docker engine and Pulumi.",
          "Run `gpubox up` once: it brings both.",
        );
      const unknown = positionals.filter((part) => !parts.includes(part));
      if (unknown.length > 0)
        throw new UserError(`There is no part ${unknown.join(", ")}.`, `Choose from: ${parts.join(", ")}.`);
      const wanted = positionals.length > 0 ? positionals : parts;
      const result: Record<string, unknown> = {};
      if (
        ["start", "overhead", "rivals", "replicas", "logging", "jobs"].some((part) => wanted.includes(part))
      ) {
        say("bringing up the stack bench1");
        const box = await LoadBox.open("bench1", port, { tiny: LOCAL_MODEL });
        try {
          if (wanted.includes("start")) result.start = await benchStart(box, runs, say);
          if (wanted.includes("overhead")) result.overhead = await benchOverhead(box, requests, say);
          if (wanted.includes("rivals")) result.rivals = await benchRivals(box, requests, say);
          if (wanted.includes("replicas")) result.replicas = await benchReplicas(box, requests, say);
          if (wanted.includes("logging")) await benchLogging(box, requests, say);
          if (wanted.includes("jobs"))
            result.jobs = await benchJobs(box, { runs, count: jobs, port: port + 20 }, say);
        } finally {
          box.close();
        }
      }
      if (wanted.includes("database")) {
        say("\nbringing up the stack bench3");
        const stateful = { database: { mode: "bundled" } };
        const box = await LoadBox.open("bench3", port, {}, undefined, stateful);
        try {
          result.database = await benchDatabase(box, requests, say);
        } finally {
          box.close();
        }
      }
      if (wanted.includes("preview")) {
        say("\nbringing up the stack bench2");
        result.preview = await benchPreview({ stack: "bench2", port: port + 10, runs, sizes }, say);
      }
      return result;
    }),
  );

void runProgram(() => strict(program as never), process.argv.slice(2));
