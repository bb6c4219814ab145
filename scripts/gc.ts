import { parseArgs } from "node:util";
import { findGarbage, removeGarbage } from "../runner/gc";
import { defaultProjectDir } from "../runner/project";
import { say, verb } from "./verb";

/** `npm run gc [-- --yes] [-- --json]`: lists what no stack uses any more, and removes it when told to. */
verb(async () => {
  const { values } = parseArgs({
    options: {
      yes: { type: "boolean", short: "y", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const found = await findGarbage(defaultProjectDir);
  if (values.json) say(JSON.stringify(found.map(({ kind, name, bytes }) => ({ kind, name, bytes }))));
  else
    for (const { kind, name, bytes } of found) say(`${kind.padEnd(10)} ${size(bytes).padStart(9)}  ${name}`);
  if (values.yes) for (const item of found) await removeGarbage(item);
  if (values.json) return;
  const total = size(found.reduce((sum, { bytes }) => sum + bytes, 0));
  if (found.length === 0) say("Everything here is used by a stack.");
  else if (values.yes)
    say(`${found.length} things are removed, ${total}. Images share layers: the disk gains less.`);
  else
    say(
      `${found.length} things that no stack of this folder uses, ${total}. \`npm run gc -- --yes\` removes them.`,
    );
});

function size(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
