import { backUp } from "../runner/backup/backup";
import { adoptNext, makeNext, swapIn } from "../runner/backup/swap";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { bringUpToDate, stackDatabase } from "../runner/stackDatabase";
import { askFor } from "./ask";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "database",
  does: "reset: an empty database in the place of a stack's; keys and spend are gone but for a backup made first. Asks twice (docs/backup.md).",
  words: "reset",
  onHost: true,
  options: {
    stack: stackOption,
    yes: {
      type: "boolean",
      short: "y",
      default: false,
      help: "asks nothing; only together with --confirm",
    },
    confirm: { type: "string", value: "NAME", help: "the stack's name once more" },
  },
} as const;

verb(about, async ({ values: options, positionals }) => {
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
  await adoptNext(job);
  await swapIn(job);
  say("  the database is empty");
  await bringUpToDate(database, say);
  return { stack, reset: true };
});
