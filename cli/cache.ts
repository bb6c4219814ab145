import { clearAnswers, restartGateways } from "../operations/cache/cacheAnswers";
import { openStack } from "../platform/stack/openStack";
import { group, hostCommand, printing } from "./command";
import { say } from "./output";

const clear = hostCommand("clear")
  .description(
    "Remove every cached answer from Redis. Limits and the router's state, which lie there too, stay.",
  )
  .option("--restart", "also restart the gateways, one after another: each remembers its last 200 answers")
  .action(
    printing(async ({ stack, restart }) => {
      const { plan } = await openStack(stack);
      const removed = await clearAnswers(plan);
      say(`removed ${removed} answer${removed === 1 ? "" : "s"} from Redis`);
      const restarted = restart ? await restartGateways(plan, say) : 0;
      if (!restart)
        say(
          "Each gateway remembers its last 200 answers until their time is over; --restart makes it forget them.",
        );
      return { removed, restarted };
    }),
  );

export const definition = group("cache", "Cached answers.", clear);
