import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { restoreCheckpoint } from "../platform/pulumi/checkpoint";
import { findPulumi, pulumi } from "../platform/pulumi/engine";
import { clearDeadLock, resolvePending } from "../platform/pulumi/state";
import { restorePrevious, servingGeneration } from "../platform/stack/history";
import { openStack } from "../platform/stack/openStack";
import { hostCommand, printing } from "./command";
import { say } from "./output";

export const definition = hostCommand("rollback")
  .description("Restore the stack config of the previous generation, and serve that generation.")
  .action(
    printing(async ({ stack }) => {
      const projectDir = findProject();
      const engine = await findPulumi(projectDir);
      if (!engine)
        throw new UserError(
          "Only a box that Pulumi brought up has generations.",
          "Edit the stack config and run `gpubox up`.",
        );
      restoreCheckpoint({ engine, stack, log: say });
      await clearDeadLock({ engine, stack, log: say });
      const { plan } = await openStack(stack);
      const now = await servingGeneration(plan);
      const previous = restorePrevious(projectDir, stack, now);
      say(`from generation ${now} back to ${previous}; Pulumi.${stack}.yaml is restored`);
      if (plan.gateway.usesDatabase)
        say("note: the database keeps its schema and data; a rollback does not undo a migration.");
      await resolvePending({ engine, stack, log: say });
      const result = await pulumi(engine, ["up", "--yes", "--skip-preview", "--stack", stack], {
        inherit: true,
      });
      if (result.code !== 0)
        throw new UserError(
          "The rollback did not finish. What served before keeps serving.",
          "The lines above say why.",
        );
      return { from: now, to: previous };
    }),
  );
