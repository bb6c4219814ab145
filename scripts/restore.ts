import { backUp } from "../runner/backup/backup";
import { rehearse } from "../runner/backup/rehearse";
import { checkSalt, restoreBackup } from "../runner/backup/restore";
import { type Store, withBackup } from "../runner/backup/store";
import { defaultProjectDir } from "../runner/project";
import { bringUpToDate, stackDatabase } from "../runner/stackDatabase";
import { askFor } from "./ask";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "restore",
  does: "Puts a backup in the place of a stack's database, which is backed up first (docs/backup.md).",
  onHost: true,
  options: {
    stack: stackOption,
    from: {
      type: "string",
      value: "WHICH",
      help: "a backup's folder, or a snapshot of the repository; default: the newest",
    },
    rehearse: {
      type: "boolean",
      default: false,
      help: "only into a scratch container, and compares every table",
    },
    unsigned: {
      type: "boolean",
      default: false,
      help: "also one without a signature, whose rows and keys nobody vouches for (docs/backup.md)",
    },
    yes: { type: "boolean", short: "y", default: false, help: "asks nothing" },
  },
} as const;

verb(about, async ({ values: options }) => {
  const { stack } = options;
  const database = await stackDatabase(defaultProjectDir, stack);
  const { plan, job } = database;
  const store: Store = { projectDir: defaultProjectDir, job };
  await withBackup(store, options.from, { unsigned: options.unsigned }, async (backup) => {
    if (!backup.signed)
      say(
        "  This backup is not signed: whoever could write where it lay may have put keys and rows of theirs into it.",
      );
    if (options.rehearse) {
      await rehearse(plan.docker, plan.database?.container.image ?? "", backup, say);
      return;
    }
    await checkSalt(job, backup);
    const { manifest } = backup;
    const what = `the backup of ${manifest.madeAt} (stack ${manifest.stack}, ${manifest.reason})`;
    if (!options.yes)
      await askFor(
        stack,
        `This puts ${what} in the place of the database of ${stack}. Type the stack's name: `,
        "Add --yes if you mean it.",
      );
    say(`restoring ${what}`);
    await backUp(store, "before a restore", say);
    await restoreBackup(job, backup, say);
    await bringUpToDate(database, say);
  });
  return { stack, restored: !options.rehearse };
});
