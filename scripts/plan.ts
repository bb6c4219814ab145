import { parseArgs } from "node:util";
import { planJson, planText } from "../configs/gpu/report";
import { planStackGpus } from "../configs/gpu/stack";
import { ConfigError } from "../configs/problems";
import { readModelLock } from "../runner/models/lockFile";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { say, verb } from "./verb";

/**
 * `npm run plan [-- --stack NAME] [--explain] [--json]`: how a stack's models share its GPUs, from the config and the lock
 * alone. Exit code 1 and the sum line by line where they do not fit.
 */
verb(async () => {
  const { values } = parseArgs({
    options: {
      stack: { type: "string", default: "dev" },
      explain: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  // Without the lock, so that what does not fit is shown as a table too; and sums need no secret.
  const secrets = namedSecrets(defaultProjectDir, values.stack);
  const lock = readModelLock(defaultProjectDir);
  const config = checkStackFile(defaultProjectDir, values.stack, { secrets });
  const plan = planStackGpus(config, lock);
  if (values.json) say(planJson(plan));
  else if (config.host.gpus.length === 0)
    say(`Pulumi.${values.stack}.yaml declares no GPU: nothing to plan.`);
  else say(planText(plan, values));
  if (plan.problems.length > 0) throw new ConfigError(values.stack, plan.problems);
  // What else a preview would refuse: sources that nobody locked, contexts of models on the CPU.
  checkStackFile(defaultProjectDir, values.stack, { lock, secrets });
});
