import { planData, planText } from "../configs/capacity/report";
import { planStackGpus } from "../configs/capacity/stack";
import { accessWords } from "../configs/kit/gpus";
import { ConfigError } from "../configs/kit/problems";
import { findProject } from "../platform/project";
import { readModelLock } from "../platform/stack/modelLock";
import { checkStackFile, namedSecrets } from "../platform/stack/planStack";
import { printing, stackCommand } from "./command";
import { jsonWanted, say } from "./output";

export const definition = stackCommand("plan")
  .description(
    "Show how a stack's models share its GPUs, from the config and the lock alone (docs/gpu.md). Exit code 1 when they do not fit.",
  )
  .option("--explain", "each model's sum, line by line")
  .action(
    printing(async ({ stack, explain = false }) => {
      const projectDir = findProject();
      // Without the lock, so that an overcommitted stack gets its table too. Sums need no secret.
      const secrets = namedSecrets(projectDir, stack);
      const lock = readModelLock(projectDir);
      const config = checkStackFile(projectDir, stack, { secrets });
      const plan = planStackGpus(config, lock);
      if (config.host.gpus.length === 0) say(`Pulumi.${stack}.yaml declares no GPU: nothing to plan.`);
      else say(planText(plan, { explain }));
      const access = accessWords(config.host);
      if (access) say(`\n${access}`);
      if (plan.problems.length > 0 && !jsonWanted()) throw new ConfigError(stack, plan.problems);
      if (plan.problems.length > 0) process.exitCode = 1;
      // Other mistakes that a preview would refuse: unlocked sources, contexts of models on the CPU.
      else checkStackFile(projectDir, stack, { lock, secrets });
      return planData(plan);
    }),
  );
