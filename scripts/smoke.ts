import { endpointOf } from "../configs/endpoint";
import { readStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { requirePassed } from "../runner/smoke";
import { checkStack } from "../runner/smokeStack";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "smoke",
  does: "Asks a running box everything that `up` ends with. Exit code 1 when a check fails.",
  onHost: true,
  options: { stack: stackOption },
} as const;

verb(about, async ({ values }) => {
  const projectDir = defaultProjectDir;
  const secrets = await readSecrets(await findSecretStore(projectDir, values.stack));
  const config = readStack(projectDir, values.stack, secrets);
  const endpoint = endpointOf(config);
  say(`smoke of ${endpoint}`);
  const checks = await checkStack(config, secrets, say);
  if (!values.json) requirePassed(checks);
  const ok = checks.every((check) => check.ok);
  if (!ok) process.exitCode = 1;
  return { endpoint, ok, checks };
});
