import { resolve } from "node:path";
import { gibibytes } from "../configs/kit/sizes";
import type { Locked } from "../configs/models/facts";
import { lockedSource } from "../configs/models/lock";
import { HUB_TOKEN } from "../configs/models/weights";
import { engineAddress } from "../configs/network/engine";
import { clusterStatusTable } from "../operations/models/clusterStatus";
import { clusterStatusOfModels } from "../operations/models/collectClusterStatus";
import { statusOfModels } from "../operations/models/collectStatus";
import { lockModels, type SourceChange } from "../operations/models/lockModels";
import { pushWeights } from "../operations/models/pushWeights";
import { statusTable } from "../operations/models/status";
import { dockerAt } from "../platform/docker/client";
import { UserError } from "../platform/process";
import { ensureStackConfig, findProject } from "../platform/project";
import { loadAssets } from "../platform/stack/assets";
import { connectStack } from "../platform/stack/host";
import { readModelLock } from "../platform/stack/modelLock";
import { hubOfStack, sourcesOfStack } from "../platform/stack/modelSources";
import { openStack } from "../platform/stack/openStack";
import { checkStackFile } from "../platform/stack/planStack";
import { readResolved } from "../platform/stack/resolved";
import { command, examples, group, hostCommand, printing, stackCommand } from "./command";
import { hubToken } from "./hubToken";
import { say } from "./output";
import { withProgress } from "./progress";

const status = hostCommand("status")
  .description(
    "Show the state of each declared model: up, loaded, requests a minute; on a cluster its pods, and why they wait.",
  )
  .action(
    printing(async ({ stack }) => {
      const { plan, config, secrets } = await openStack(stack);
      const none = `Pulumi.${stack}.yaml declares no model.`;
      if (plan.cluster) {
        const all = await clusterStatusOfModels(plan, config, secrets);
        say(all.length > 0 ? clusterStatusTable(all) : none);
        return all;
      }
      const all = await statusOfModels(plan, config, secrets);
      say(all.length > 0 ? statusTable(all) : none);
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

const push = stackCommand("push")
  .description(
    "Carry the files of a locked model to the stack's host, which reaches no hub, and compare their hashes there.",
  )
  .argument("<source>", "as the stack's file names it, for example hf://Qwen/Qwen3-8B")
  .requiredOption(
    "--from <dir>",
    "folder of this machine with the files, as `hf download --local-dir` makes it",
  )
  .action(
    printing(async (source, { stack, from }) => {
      const projectDir = findProject();
      ensureStackConfig(projectDir, stack);
      const locked = lockedSource(readModelLock(projectDir), source);
      if (!locked)
        throw new UserError(
          `${source} is not locked, so nobody knows which files it has.`,
          `Run \`gpubox models lock ${source}\` where the hub answers.`,
        );
      connectStack(projectDir, stack);
      const config = checkStackFile(projectDir, stack, {});
      const docker = engineAddress(config);
      const image = readResolved(projectDir, stack).images.gateway?.reference ?? "";
      if (!(await dockerAt(docker).hasImages(image)))
        throw new UserError(
          `The host does not have the gateway's image (${image}), whose Python takes the files.`,
          `Run \`gpubox images load DIR --stack ${stack}\` or \`gpubox up --stack ${stack}\` first.`,
        );
      const modelsDir = `${config.host.dataDir}/models`;
      const fetchScript = loadAssets()["weights/fetch.py"]!;
      const options = {
        docker,
        image,
        fetchScript,
        endpoint: config.host.modelHub,
        modelsDir,
        source,
        locked,
      };
      return withProgress(say, (log, report) =>
        pushWeights({ ...options, from: resolve(from), log, report }),
      );
    }),
  );

export const definition = group(
  "models",
  "The models of a stack (docs/adding-a-model.md).",
  status,
  list,
  lock,
  push,
).addHelpText(
  "after",
  examples("models status", "models lock --stack box", "models push hf://Qwen/Qwen3-8B --from ./Qwen3-8B"),
);

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
