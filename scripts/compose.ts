import { parseArgs } from "node:util";
import { COMPOSE_LOSES } from "../configs/plan/compose";
import { writeComposeFile } from "../runner/composeEngine";
import { planStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, verb } from "./verb";

/** `npm run compose [-- --stack NAME]`: writes the Compose file of a stack and starts nothing. */
verb(async () => {
  const { values } = parseArgs({ options: { stack: { type: "string", default: "dev" } } });
  const projectDir = defaultProjectDir;
  const secrets = await readSecrets(await findSecretStore(projectDir, values.stack));
  const plan = planStack(projectDir, values.stack, secrets, readResolved(projectDir, values.stack));
  say(
    `${writeComposeFile(projectDir, plan)} holds the box; it has no secrets in it. Against \`pulumi up\` it loses:`,
  );
  for (const loss of COMPOSE_LOSES) say(`- ${loss}`);
});
