import { clearAnswers } from "../runner/cacheAnswers";
import { planStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "cache",
  does: "clear: removes every cached answer from Redis. Limits and the router's state, which lie there too, stay.",
  words: "clear",
  options: { stack: stackOption },
} as const;

verb(about, async ({ values: { stack }, positionals }) => {
  if (positionals.join(" ") !== "clear")
    throw new UserError("What about the cache?", `Type \`npm run cache clear -- --stack ${stack}\`.`);
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const box = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  const removed = await clearAnswers(box, defaultProjectDir);
  say(
    removed === 0 ? "No answer was cached." : `removed ${removed} cached answer${removed === 1 ? "" : "s"}`,
  );
  return { removed };
});
