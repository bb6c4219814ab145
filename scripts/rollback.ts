import { restorePrevious, servingGeneration } from "../runner/history";
import { planStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { restoreCheckpoint } from "../runner/pulumiCheckpoint";
import { findPulumi, pulumi } from "../runner/pulumiEngine";
import { clearDeadLock, resolvePending } from "../runner/pulumiState";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "rollback",
  does: "Puts the stack config of the generation before the serving one back, and serves that generation.",
  onHost: true,
  options: { stack: stackOption },
} as const;

verb(about, async ({ values }) => {
  const { stack } = values;
  const projectDir = defaultProjectDir;
  const engine = await findPulumi(projectDir);
  if (!engine)
    throw new UserError(
      "Only a box that Pulumi brought up has generations.",
      "Edit the stack config and run `npm run up`.",
    );
  restoreCheckpoint({ engine, stack, log: say });
  await clearDeadLock({ engine, stack, log: say });
  const secrets = await readSecrets(await findSecretStore(projectDir, stack));
  const plan = planStack(projectDir, stack, secrets, readResolved(projectDir, stack));
  const now = await servingGeneration(plan);
  const previous = restorePrevious(projectDir, stack, now);
  say(`from generation ${now} back to ${previous}; Pulumi.${stack}.yaml is what it was then`);
  if (plan.gateway.usesDatabase)
    say("note: the database keeps its schema and data; a rollback does not undo a migration.");
  await resolvePending({ engine, stack, log: say });
  const result = await pulumi(engine, ["up", "--yes", "--skip-preview", "--stack", stack], { inherit: true });
  if (result.code !== 0)
    throw new UserError(
      "The rollback did not finish; what served before goes on serving.",
      "The lines above say why.",
    );
  return { from: now, to: previous };
});
