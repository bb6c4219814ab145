import { COMPOSE_LOSES } from "../configs/plan/compose";
import { writeComposeFile } from "../runner/composeEngine";
import { planStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "compose",
  does: "Writes the Compose file of a stack and starts nothing.",
  options: { stack: stackOption },
} as const;

verb(about, async ({ values }) => {
  const projectDir = defaultProjectDir;
  const secrets = await readSecrets(await findSecretStore(projectDir, values.stack));
  const plan = planStack(projectDir, values.stack, secrets, readResolved(projectDir, values.stack));
  const path = writeComposeFile(projectDir, plan);
  say(`${path} holds the box; it has no secrets in it. Against \`pulumi up\` it loses:`);
  for (const loss of COMPOSE_LOSES) say(`- ${loss}`);
  return { path, loses: COMPOSE_LOSES };
});
