import { stringify } from "yaml";
import { size } from "../configs/kit/sizes";
import type { CanaryVerdict } from "../configs/plan/canary";
import { verifiedOn } from "../configs/recipes/fit";
import { type Added, addModel } from "../operations/models/addModel";
import { decideCanary } from "../operations/models/canary";
import { startModel, stopModel } from "../operations/models/manualModel";
import { findProject } from "../platform/project";
import { hubOfStack } from "../platform/stack/modelSources";
import { openStack } from "../platform/stack/openStack";
import { examples, group, hostCommand, printing, stackCommand } from "./command";
import { hubToken } from "./hubToken";
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

const promote = decision(
  "promote",
  "promoted",
  "Give the canary of one model all requests now, without waiting for the rest of its time.",
);

const revert = decision(
  "revert",
  "reverted",
  "Refuse the canary of one model now: the server before serves on, and `up` fails.",
);

function decision(verdict: CanaryVerdict, canary: string, description: string) {
  return hostCommand(verdict)
    .description(description)
    .argument("<model>")
    .action(
      printing(async (model, { stack }) => {
        await decideCanary((await openStack(stack)).plan, model, verdict, say);
        return { model, canary };
      }),
    );
}

const add = stackCommand("add")
  .description("Write an entry from a verified recipe into the stack's file (docs/recipes.md).")
  .argument("<model>", "for example Qwen/Qwen3.6-27B, or the last part of it")
  .option("--as <name>", "the name that clients write; default: the last part, in lower case")
  .option("--checkpoint <name>", "fp8, nvfp4, …; default: the most precise one that fits")
  .option("--devices <ids>", "for example 0,1; default: those with the most room", (ids) => ids.split(","))
  .option("--draft", "with the recipe's head or model that drafts tokens")
  .action(
    printing(async (model, { stack, ...options }) => {
      const projectDir = findProject();
      const access = { endpoint: process.env.HF_ENDPOINT || hubOfStack(projectDir, stack) };
      const token = await hubToken(projectDir, stack);
      const added = await addModel(projectDir, stack, model, options, { ...access, token });
      say(addedText(stack, added));
      return { model: added.name, entry: added.entry };
    }),
  );

export const definition = group(
  "model",
  "Add a model from a recipe, start or stop one by hand, or decide on a canary (docs/recipes.md, docs/starting-models.md).",
  add,
  start,
  stop,
  promote,
  revert,
).addHelpText("after", examples("model add Qwen/Qwen3.6-27B --checkpoint fp8", "model start giant"));

function addedText(stack: string, { name, fit, entry, left, unlocked }: Added): string {
  const { recipe, needBytes, roomBytes } = fit;
  return [
    `Pulumi.${stack}.yaml has a new model:`,
    "",
    stringify({ [name]: entry }).trimEnd(),
    "",
    `The recipe of ${recipe.updated} was verified on ${verifiedOn(recipe)}${fit.verified ? ", which this host's devices are like" : ""}.`,
    `It asks for ${size(needBytes)} of ${size(roomBytes)}.`,
    ...(left.length > 0
      ? [`Of the recipe it leaves out ${left.join(", ")}: gpubox decides on them, or cannot carry them over.`]
      : []),
    ...(unlocked
      ? [
          `Its sizes are not locked: ${unlocked} Until \`gpubox models lock\`, the entry says how much memory it may have.`,
        ]
      : []),
    `\`gpubox preview --stack ${stack}\` shows what \`up\` would change.`,
  ].join("\n");
}
