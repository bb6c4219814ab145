import { parseArgs } from "node:util";
import { backUp } from "../runner/backup/backup";
import { rehearse } from "../runner/backup/rehearse";
import { checkBackup, restoreBackup } from "../runner/backup/restore";
import { type Store, withBackup } from "../runner/backup/store";
import { defaultProjectDir } from "../runner/project";
import { bringUpToDate, stackDatabase } from "../runner/stackDatabase";
import { askFor } from "./ask";
import { say, verb } from "./verb";

const HELP = `npm run restore [-- OPTION …]    puts a backup in the place of a stack's database

  --stack NAME   which stack; default: dev
  --from WHICH   a backup's folder, or a snapshot of the repository; default: the newest
  --rehearse     only into a scratch container, and compares every table
  --yes, -y      asks nothing

What is in the database is backed up first. A page about it: docs/backup.md`;

/** `npm run restore`. */
verb(async () => {
  const { values: options } = parseArgs({
    options: {
      stack: { type: "string", default: "dev" },
      from: { type: "string" },
      rehearse: { type: "boolean", default: false },
      yes: { type: "boolean", short: "y", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return say(HELP);
  const { stack } = options;
  const database = await stackDatabase(defaultProjectDir, stack);
  const { plan, job } = database;
  const store: Store = { projectDir: defaultProjectDir, job };
  await withBackup(store, options.from, async (folder) => {
    if (options.rehearse) return rehearse(plan.docker, plan.database?.container.image ?? "", folder, say);
    const manifest = await checkBackup(job, folder);
    const what = `the backup of ${manifest.madeAt} (stack ${manifest.stack}, ${manifest.reason})`;
    if (!options.yes)
      await askFor(
        stack,
        `This puts ${what} in the place of the database of ${stack}. Type the stack's name: `,
        "Add --yes if you mean it.",
      );
    say(`restoring ${what}`);
    await backUp(store, "before a restore", say);
    await restoreBackup(job, folder, manifest, say);
    await bringUpToDate(database, say);
  });
});
