import { startModel, stopModel } from "../operations/models/manualModel";
import { openStack } from "../platform/stack/openStack";
import { group, hostCommand, printing } from "./command";
import { say } from "./output";

const start = hostCommand("start")
  .description("Start the server of one model, and wait until it serves.")
  .argument("<model>")
  .action(
    printing(async (model, { stack }) => {
      await startModel((await openStack(stack)).plan, model, say);
      return { model, state: "started" };
    }),
  );

const stop = hostCommand("stop")
  .description("Stop the server of one model, after its requests have finished.")
  .argument("<model>")
  .action(
    printing(async (model, { stack }) => {
      await stopModel((await openStack(stack)).plan, model, say);
      return { model, state: "stopped" };
    }),
  );

export const definition = group(
  "model",
  "Start or stop one model by hand (docs/starting-models.md).",
  start,
  stop,
);
