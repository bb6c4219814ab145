import { startModel, stopModel } from "../runner/manualModel";
import { planStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const USAGE =
  "Type `npm run model start NAME` or `npm run model stop NAME`, and `-- --stack S` for another stack.";

const about = {
  name: "model",
  does: "Starts or stops the server of one model, and waits until it serves or its requests have finished.",
  words: "start|stop MODEL",
  onHost: true,
  options: { stack: stackOption },
} as const;

verb(about, async ({ values, positionals }) => {
  const [action, model, ...rest] = positionals;
  if (!model || rest.length > 0) throw new UserError("The name of one model is needed.", USAGE);
  if (action !== "start" && action !== "stop") throw new UserError(`There is no "${action}".`, USAGE);
  const { stack } = values;
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const plan = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  if (action === "start") await startModel(plan, model, say);
  else await stopModel(plan, model, say);
  return { model, state: action === "start" ? "started" : "stopped" };
});
