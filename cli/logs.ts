import { modelServers } from "../configs/plan/box";
import { clusterLogs } from "../operations/logs/clusterLogs";
import { hostLogs } from "../operations/logs/hostLogs";
import { type LogLine, lineForPeople } from "../operations/logs/logLines";
import { readLogs } from "../operations/logs/readLogs";
import { openStack } from "../platform/stack/openStack";
import { examples, hostCommand, printing } from "./command";
import { jsonWanted } from "./output";

export const definition = hostCommand("logs")
  .description(
    "Print the logs of a model (its valve, its server, and the gateways' lines about it), or of a part: gateway, edge, cache, database. Hides secrets.",
  )
  .argument("[model|part]", "default: everything")
  .option("--since <time>", "how far back: 15m, 2h, a date", "15m")
  .option("-f, --follow", "continue with new lines until Ctrl-C", false)
  .option("--raw", "lines as the programs wrote them, with LiteLLM's stack traces", false)
  .addHelpText("after", examples("logs qwen3-coder --follow", "logs edge --since 2h"))
  .action(
    printing(async (of, { stack, since, follow, raw }) => {
      const { config, plan: box, secrets } = await openStack(stack);
      const width = Math.max(8, ...modelServers(box).map(({ service }) => service.container.name.length));
      // A reader that has seen enough closes the pipe.
      process.stdout.on("error", () => process.exit(0));
      const options = {
        ...{ box, config, secrets, of, follow, raw },
        // One document per line, because a log may never end.
        print: (line: LogLine) =>
          console.log(jsonWanted() ? JSON.stringify(line) : lineForPeople(line, width)),
      };
      if (box.cluster) await readLogs({ ...options, place: clusterLogs(box, since) });
      else await readLogs({ ...options, place: hostLogs(box, since) });
    }),
  );
