import { parseArgs } from "node:util";
import { stackDemands } from "../configs/gpu/entries";
import { planGpus } from "../configs/gpu/placement";
import { planJson, planText } from "../configs/gpu/report";
import { ConfigError } from "../configs/problems";
import { gpuSchema } from "../configs/schema/gpu";
import { readModelLock } from "../runner/models/lockFile";
import { checkStackFile } from "../runner/planStack";
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
  const config = checkStackFile(defaultProjectDir, values.stack);
  const gpus = config.host.gpus.map((gpu) => gpuSchema.parse(gpu));
  const { demands, problems } = stackDemands(config.models, readModelLock(defaultProjectDir));
  const plan = planGpus(gpus, demands);
  if (values.json) say(planJson({ ...plan, problems: [...problems, ...plan.problems] }));
  else if (gpus.length === 0) say(`Pulumi.${values.stack}.yaml declares no GPU: nothing to plan.`);
  else say(planText(plan, values));
  const all = [...problems, ...plan.problems];
  if (all.length > 0) throw new ConfigError(values.stack, all);
});
