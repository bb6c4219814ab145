import { planStackGpus } from "../configs/capacity/stack";
import { recommended } from "../configs/recipes/fit";
import { recommendData, recommendText } from "../configs/recipes/report";
import { roomsOf } from "../configs/recipes/rooms";
import { findProject } from "../platform/project";
import { readModelLock } from "../platform/stack/modelLock";
import { checkStackFile, namedSecrets } from "../platform/stack/planStack";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("recommend")
  .description(
    "List the models with a verified recipe that fit the stack's GPUs, best first (docs/recipes.md).",
  )
  .option("--limit <n>", "how many", Number, 15)
  .action(
    printing(async ({ stack, limit }) => {
      const projectDir = findProject();
      const config = checkStackFile(projectDir, stack, { secrets: namedSecrets(projectDir, stack) });
      const rooms = roomsOf(config, planStackGpus(config, readModelLock(projectDir)));
      const found = recommended(rooms).slice(0, limit);
      if (rooms.length === 0)
        say(`Pulumi.${stack}.yaml declares no GPU. Write gpubox:host gpus: [{ id: 0, memoryGiB: 24 }].`);
      else if (found.length === 0) say("No recipe fits what the stack's models leave of its GPUs.");
      else say(recommendText(found));
      return recommendData(found);
    }),
  )
  .addHelpText("after", examples("recommend", "recommend --stack box --limit 5"));
