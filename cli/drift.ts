import { isComposeBox } from "../operations/compose/composeEngine";
import { clusterDrift } from "../operations/drift/clusterDrift";
import { collectDrift, declaredGpus } from "../operations/drift/collect";
import { collectClusterDrift } from "../operations/drift/collectCluster";
import { drift } from "../operations/drift/drift";
import { driftText } from "../operations/drift/text";
import { recordedJobs } from "../operations/jobs/list";
import { UserError } from "../platform/process";
import { openStack } from "../platform/stack/openStack";
import { hostCommand, printing } from "./command";
import { say } from "./output";

export const definition = hostCommand("drift")
  .description(
    "Compare a host with its whole plan: containers, networks, volumes, images, files, strangers, GPUs; or a cluster: objects, and who changed their fields (docs/drift.md). Changes nothing. Exit code 2 when something differs.",
  )
  .action(
    printing(async ({ stack }) => {
      const { config, plan, secrets } = await openStack(stack);
      if (plan.cluster) {
        const report = clusterDrift(plan, await collectClusterDrift(plan));
        say(driftText(report, "cluster"));
        if (report.differences.length > 0) process.exitCode = 2;
        return report;
      }
      if (await isComposeBox(plan))
        throw new UserError(
          `The stack ${stack} is run by Compose, which follows no plan.`,
          "Compare docker-compose.*.yaml with the host, or run `gpubox up` with Pulumi.",
        );
      const facts = await collectDrift({ box: plan, gpus: declaredGpus(config), secrets });
      const report = drift(plan, facts, await recordedJobs(plan.docker, stack));
      say(driftText(report));
      if (report.differences.length > 0) process.exitCode = 2;
      return report;
    }),
  );
