import { clearAnswers, restartGateways } from "../runner/cacheAnswers";
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
  onHost: true,
  options: {
    stack: stackOption,
    restart: {
      type: "boolean",
      default: false,
      help: "also restart the gateways, one after another: each remembers its last 200 answers",
    },
  },
} as const;

verb(about, async ({ values: { stack, restart }, positionals }) => {
  if (positionals.join(" ") !== "clear")
    throw new UserError("What about the cache?", `Type \`npm run cache clear -- --stack ${stack}\`.`);
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const box = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  const removed = await clearAnswers(box, defaultProjectDir);
  say(`removed ${removed} answer${removed === 1 ? "" : "s"} from Redis`);
  const restarted = restart ? await restartGateways(box, say) : 0;
  if (!restart)
    say(
      "Each gateway remembers its last 200 answers until their time is over; --restart makes it forget them.",
    );
  return { removed, restarted };
});
