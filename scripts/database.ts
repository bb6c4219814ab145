import { parseArgs } from "node:util";
import { backUp } from "../runner/backup/backup";
import { makeNext, swapIn } from "../runner/backup/swap";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { bringUpToDate, stackDatabase } from "../runner/stackDatabase";
import { askFor } from "./ask";
import { say, verb } from "./verb";

const HELP = `npm run database reset [-- OPTION …]    an empty database in the place of a stack's

  --stack NAME     which stack; default: dev
  --yes, -y        asks nothing; only together with --confirm
  --confirm NAME   the stack's name once more

Every virtual key and all spend are gone then, but for a backup that it makes first. Asks twice.
A page about it: docs/backup.md`;

/** `npm run database reset`. */
verb(async () => {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      stack: { type: "string", default: "dev" },
      yes: { type: "boolean", short: "y", default: false },
      confirm: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return say(HELP);
  if (positionals.join(" ") !== "reset")
    throw new UserError(`There is no "database ${positionals.join(" ")}".`, "Use `npm run database reset`.");
  const { stack } = options;
  const database = await stackDatabase(defaultProjectDir, stack);
  const { job } = database;
  const instead = `Add --yes --confirm ${stack} if you mean it.`;
  if (!options.yes) {
    const question = `This deletes every virtual key and all spend of the stack ${stack}. Type the stack's name: `;
    await askFor(stack, question, instead);
    await askFor("reset", "They are gone but for a backup. Type reset: ", instead);
  } else if (options.confirm !== stack)
    throw new UserError("Deleting a database wants its stack's name.", instead);
  say(`reset of the database of ${stack}`);
  await backUp({ projectDir: defaultProjectDir, job }, "before a reset", say);
  await makeNext(job);
  await swapIn(job);
  say("  the database is empty");
  await bringUpToDate(database, say);
});
