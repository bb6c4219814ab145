import { gibibytes } from "../configs/kit/sizes";
import type { Locked } from "../configs/models/facts";
import { HUB_TOKEN } from "../configs/models/weights";
import { statusOfModels } from "../operations/models/collectStatus";
import { lockModels, type SourceChange } from "../operations/models/lockModels";
import { statusTable } from "../operations/models/status";
import { findProject } from "../platform/project";
import { readModelLock } from "../platform/stack/modelLock";
import { hubOfStack, sourcesOfStack } from "../platform/stack/modelSources";
import { openStack } from "../platform/stack/openStack";
import { command, examples, group, hostCommand, printing, stackCommand } from "./command";
import { hubToken } from "./hubToken";
import { say } from "./output";

const status = hostCommand("status")
  .description("Show the state of each declared model: up, loaded, requests a minute.")
  .action(
    printing(async ({ stack }) => {
      const { plan, config, secrets } = await openStack(stack);
      const all = await statusOfModels(plan, config, secrets);
      say(all.length > 0 ? statusTable(all) : `Pulumi.${stack}.yaml declares no model.`);
      return all;
    }),
  );

const list = command("list")
  .description("Show the content of models.lock.json.")
  .action(
    printing(async () => {
      const lock = readModelLock(findProject());
      const entries = Object.entries(lock);
      if (entries.length === 0) say("No model is locked. Run `gpubox models lock`.");
      for (const [source, model] of entries)
        say(`${source}: ${"unresolved" in model ? `not resolved: ${model.unresolved}` : summary(model)}`);
      return lock;
    }),
  );

const lock = stackCommand("lock")
  .description(
    "Resolve revision, files, sizes and shape of the stack's models, or of the sources given, into models.lock.json. The hub is HF_ENDPOINT of the environment, or the stack's.",
  )
  .argument("[source...]", "for example hf://Qwen/Qwen3-Coder-30B-A3B-Instruct")
  .option(
    "--token <secret>",
    `the stack's secret with the hub's token; default: HF_TOKEN of the environment, or ${HUB_TOKEN}`,
  )
  .action(
    printing(async (sources, { stack, token }) => {
      const projectDir = findProject();
      const wanted = sources.length > 0 ? sources : sourcesOfStack(projectDir, stack);
      if (wanted.length === 0) say(`Pulumi.${stack}.yaml names no model from a hub or a file of the host.`);
      const changes = await lockModels(projectDir, wanted, {
        endpoint: process.env.HF_ENDPOINT || hubOfStack(projectDir, stack),
        token: await hubToken(projectDir, stack, token),
      });
      for (const change of changes) say(lineOf(change));
      if (changes.some(({ failure }) => failure)) process.exitCode = 1;
      return changes;
    }),
  );

export const definition = group(
  "models",
  "The models of a stack (docs/adding-a-model.md).",
  status,
  list,
  lock,
).addHelpText("after", examples("models status", "models lock --stack box"));

function lineOf({ source, before, after, failure }: SourceChange): string {
  if (failure) return `${source}: not resolved${before ? ", keeps its old entry" : ""}: ${failure}`;
  if (before === after) return `${source}: unchanged`;
  return `${source}: ${before ? summary(before) : "new"} → ${after ? summary(after) : "none"}`;
}

function summary(locked: Locked): string {
  const bytes = gibibytes(locked.files.reduce((sum, file) => sum + file.bytes, 0));
  const revision = locked.revision ? `${locked.revision.slice(0, 12)}, ` : "";
  if ("holds" in locked) return `${revision}${locked.holds}, ${bytes}`;
  const { shape, quantization } = locked;
  return `${revision}${shape.architecture} ${quantization}, ${bytes}, ${shape.contextLength} tokens`;
}
