import { parseArgs } from "node:util";
import { endpointOf } from "../configs/plan/box";
import { readStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { smokeStack } from "../runner/smokeStack";
import { say, verb } from "./verb";

/** `npm run smoke [-- --stack NAME]`: asks a running box everything that `up` ends with. */
verb(async () => {
  const { values } = parseArgs({ options: { stack: { type: "string", default: "dev" } } });
  const projectDir = defaultProjectDir;
  const secrets = await readSecrets(await findSecretStore(projectDir, values.stack));
  const config = readStack(projectDir, values.stack, secrets);
  say(`smoke of ${endpointOf(config)}`);
  await smokeStack(config, secrets, say);
});
