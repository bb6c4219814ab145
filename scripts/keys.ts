import { parseArgs } from "node:util";
import { readStack } from "../runner/planStack";
import { defaultProjectDir } from "../runner/project";
import { makeAccess, stackDatabase } from "../runner/stackDatabase";
import { virtualKeyStates } from "../runner/virtualKeys";
import { table, usd } from "./table";
import { say, verb } from "./verb";

const HELP = `npm run keys [-- OPTION …]    the virtual keys: what is declared, and what the database says

  --stack NAME   which stack; default: dev
  --repair       first makes the declared teams and keys again, where somebody changed them by hand
  --json         for programs

It never shows a key. \`pulumi config get gpubox:<secret>\` does. A page about it: docs/keys.md`;

/** `npm run keys`. */
verb(async () => {
  const { values: options } = parseArgs({
    options: {
      stack: { type: "string", default: "dev" },
      repair: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return say(HELP);
  const database = await stackDatabase(defaultProjectDir, options.stack);
  const { job, secrets } = database;
  if (options.repair) await makeAccess(database, say);
  const config = readStack(defaultProjectDir, options.stack, secrets);
  const keys = await virtualKeyStates(job, config, secrets);
  if (options.json) return say(JSON.stringify(keys));
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
});
