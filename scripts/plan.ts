import { planData, planText } from "../configs/gpu/report";
import { planStackGpus } from "../configs/gpu/stack";
import { ConfigError } from "../configs/problems";
import { readModelLock } from "../runner/models/lockFile";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "plan",
  does: "Shows how a stack's models share its GPUs, from the config and the lock alone. Exit code 1 where they do not fit.",
  options: {
    stack: stackOption,
    explain: { type: "boolean", default: false, help: "each model's sum, line by line" },
  },
} as const;

verb(about, async ({ values }) => {
  // Without the lock, so that what does not fit is shown as a table too; and sums need no secret.
  const secrets = namedSecrets(defaultProjectDir, values.stack);
  const lock = readModelLock(defaultProjectDir);
  const config = checkStackFile(defaultProjectDir, values.stack, { secrets });
  const plan = planStackGpus(config, lock);
  if (config.host.gpus.length === 0) say(`Pulumi.${values.stack}.yaml declares no GPU: nothing to plan.`);
  else say(planText(plan, values));
  if (plan.problems.length > 0 && !values.json) throw new ConfigError(values.stack, plan.problems);
  if (plan.problems.length > 0) process.exitCode = 1;
  // What else a preview would refuse: sources that nobody locked, contexts of models on the CPU.
  else checkStackFile(defaultProjectDir, values.stack, { lock, secrets });
  return planData(plan);
});
