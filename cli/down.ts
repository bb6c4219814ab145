import { composeDown, hasComposeFiles, isComposeBox } from "../operations/compose/composeEngine";
import { removeVolume, VOLUMES } from "../operations/down/volumes";
import { livingJobs } from "../operations/jobs/list";
import { dockerAt } from "../platform/docker/client";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { restoreCheckpoint } from "../platform/pulumi/checkpoint";
import { findPulumi, pulumi } from "../platform/pulumi/engine";
import { clearDeadLock } from "../platform/pulumi/state";
import { openStack } from "../platform/stack/openStack";
import { askFor } from "./ask";
import { examples, hostCommand, printing } from "./command";
import { say } from "./output";

export const definition = hostCommand("down")
  .description("Take the box away. What it keeps in volumes stays, unless you name the volume.")
  .option("-y, --yes", "do not ask before data is deleted")
  .option("--volume <name...>", "delete this data too, for good: database, …", [] as string[])
  .addHelpText("after", examples("down", "down --volume database"))
  .action(
    printing(async (options) => {
      const { stack } = options;
      const projectDir = findProject();
      const unknown = options.volume.find((name) => !VOLUMES.includes(name));
      if (unknown)
        throw new UserError(
          `There is no volume "${unknown}".`,
          `Those that hold data: ${VOLUMES.join(", ")}.`,
        );
      if (options.volume.length > 0 && !options.yes) await askForVolumes(stack, options.volume);

      const engine = await findPulumi(projectDir);
      if (engine) restoreCheckpoint({ engine, stack, log: say });
      const { plan } = await openStack(stack);
      const jobs = await livingJobs(plan.docker, stack);
      if (jobs.length > 0)
        throw new UserError(
          `Jobs of the stack ${stack} still use it: ${jobs.join(", ")}.`,
          `Stop them first: ${jobs.map((job) => `gpubox job stop ${job} --stack ${stack}`).join(" && ")}.`,
        );
      const known = engine && (await pulumi(engine, ["stack", "--stack", stack])).code === 0;
      if (engine && known) {
        await clearDeadLock({ engine, stack, log: say });
        const result = await pulumi(engine, ["destroy", "--yes", "--skip-preview", "--stack", stack], {
          inherit: true,
        });
        if (result.code !== 0)
          throw new UserError(
            "`pulumi destroy` did not finish.",
            "The lines above say why; run `gpubox down` again.",
          );
      }
      const docker = dockerAt(plan.docker);
      if ((await isComposeBox(plan)) || (!known && (await hasComposeFiles(projectDir, plan)))) {
        await composeDown({ projectDir, plan, log: say });
        // Pulumi does this itself: the owner is one of its resources.
        if (plan.owner) await docker.scriptOutput(plan.owner.remove);
      }
      for (const name of options.volume) await removeVolume(plan, name, say);
      const left = await docker.run(["volume", "ls", "-q", "--filter", `name=^${plan.prefix}-`]);
      const kept = left.stdout.trim().split("\n").filter(Boolean);
      for (const volume of kept)
        say(
          `  kept the volume ${volume}; \`gpubox down --stack ${stack} --volume ${volume.slice(plan.prefix.length + 1)}\` removes it`,
        );
      return { stack, keptVolumes: kept };
    }),
  );

async function askForVolumes(stack: string, volumes: string[]): Promise<void> {
  const loss = volumes.includes("database") ? ": every virtual key and all spend" : "";
  await askFor({
    word: stack,
    loss: `This deletes the ${volumes.join(", ")} of the stack ${stack} for good${loss}.`,
    fate: "deleted",
    instead: "Add --yes if you mean it.",
  });
}
