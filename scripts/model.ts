import { parseArgs } from "node:util";
import { startModel, stopModel } from "../runner/manualModel";
import { planStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, verb } from "./verb";

const USAGE =
  "Type `npm run model start NAME` or `npm run model stop NAME`, and `-- --stack S` for another stack.";

/** `npm run model start|stop NAME [-- --stack S]`: starts and stops the server of one model. */
verb(async () => {
  const { values, positionals } = parseArgs({
    options: { stack: { type: "string", default: "dev" } },
    allowPositionals: true,
  });
  const [action, model, ...rest] = positionals;
  if (!model || rest.length > 0) throw new UserError("The name of one model is needed.", USAGE);
  if (action !== "start" && action !== "stop") throw new UserError(`There is no "${action}".`, USAGE);
  const { stack } = values;
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const plan = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  if (action === "start") await startModel(plan, model, say);
  else await stopModel(plan, model, say);
});
