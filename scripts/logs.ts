import { lineForPeople } from "../configs/logLines";
import { modelServers } from "../configs/plan/box";
import { readLogs } from "../runner/logs";
import { planStack, readStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { stackOption, verb } from "./verb";

const about = {
  name: "logs",
  does: "Prints the logs of a model (its valve, its server, what the gateways say of it), or of a part: gateway, edge, cache, database. Secrets are blotted out.",
  words: "[MODEL|PART]",
  onHost: true,
  options: {
    stack: stackOption,
    since: {
      type: "string",
      default: "15m",
      value: "TIME",
      help: "how far back: 15m, 2h, a date; default: 15m",
    },
    follow: { type: "boolean", short: "f", default: false, help: "go on as lines come, until Ctrl-C" },
    raw: {
      type: "boolean",
      default: false,
      help: "lines as the programs wrote them, with LiteLLM's stack traces",
    },
  },
} as const;

verb(about, async ({ values, positionals: [of, ...rest] }) => {
  if (rest.length > 0) throw new UserError("Only one model or part at a time.", "Leave the other words out.");
  const { stack, since, follow, raw, json } = values;
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const config = readStack(defaultProjectDir, stack, secrets);
  const box = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  const width = Math.max(8, ...modelServers(box).map(({ service }) => service.container.name.length));
  // A reader that has seen enough closes the pipe.
  process.stdout.on("error", () => process.exit(0));
  await readLogs({
    ...{ box, config, secrets, of, since, follow, raw },
    // A document a line: a log may never end.
    print: (line) => console.log(json ? JSON.stringify(line) : lineForPeople(line, width)),
  });
});
