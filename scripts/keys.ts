import { readStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { makeAccess, stackDatabase } from "../runner/stackDatabase";
import { virtualKeyStates } from "../runner/virtualKeys";
import { table, usd } from "./table";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "keys",
  does: "The virtual keys: what is declared, and what the database says. It never shows a key (docs/keys.md).",
  onHost: true,
  options: {
    stack: stackOption,
    repair: {
      type: "boolean",
      default: false,
      help: "first makes the declared teams and keys again, where somebody changed them by hand",
    },
  },
} as const;

verb(about, async ({ values: options }) => {
  const database = await stackDatabase(defaultProjectDir, options.stack);
  const { job, secrets } = database;
  if (options.repair) await makeAccess(database, say);
  const config = readStack(defaultProjectDir, options.stack, secrets);
  const keys = await virtualKeyStates(job, config, secrets);
  const day = (moment: string | undefined) => moment?.slice(0, 10) ?? "";
  const rows = keys.map((key) => [
    key.name,
    key.state,
    key.team ?? "",
    usd(key.spentUsd),
    usd(key.budgetUsd),
    usd(key.leftUsd),
    day(key.resets),
    day(key.expires),
    day(key.lastUsed),
  ]);
  const head = ["key", "state", "team", "spent USD", "budget", "left", "resets", "expires", "last used"];
  for (const line of table(head, rows)) say(line);
  if (keys.length === 0) say("No key is declared and none is in the database.");
  if (keys.some(({ state }) => state === "missing"))
    say("Keys are missing in the database: `npm run keys -- --repair` makes them, or says why not.");
  return keys;
});
