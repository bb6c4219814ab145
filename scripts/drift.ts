import { drift } from "../configs/drift";
import { driftText } from "../configs/drift/text";
import { isComposeBox } from "../runner/composeEngine";
import { collectDrift, declaredGpus } from "../runner/drift/collect";
import { recordedJobs } from "../runner/jobs/list";
import { planStack, readStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "drift",
  does: "Compares a host with its plan in full: containers, networks, volumes, images, files, strangers, GPUs (docs/drift.md). Changes nothing. Exit code 2 when something differs.",
  options: { stack: stackOption },
  onHost: true,
} as const;

const projectDir = defaultProjectDir;

verb(about, async ({ values: { stack } }) => {
  const secrets = await readSecrets(await findSecretStore(projectDir, stack));
  const config = readStack(projectDir, stack, secrets);
  const box = planStack(projectDir, stack, secrets, readResolved(projectDir, stack));
  if (await isComposeBox(box))
    throw new UserError(
      `The stack ${stack} is run by Compose, which keeps to no plan.`,
      "Compare docker-compose.*.yaml with the host, or run `npm run up` with Pulumi.",
    );
  const facts = await collectDrift({ box, gpus: declaredGpus(config), secrets });
  const report = drift(box, facts, await recordedJobs(box.docker, stack));
  say(driftText(report));
  if (report.differences.length > 0) process.exitCode = 2;
  return report;
});
