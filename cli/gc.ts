import { findGarbage, removeGarbage } from "../operations/gc/collect";
import { findProject } from "../platform/project";
import { command, printing } from "./command";
import { say } from "./output";

export const definition = command("gc")
  .description("List images, weights and generations that no stack of this project uses any more.")
  .option("-y, --yes", "remove them")
  .action(
    printing(async ({ yes }) => {
      const found = await findGarbage(findProject());
      for (const { kind, name, bytes } of found)
        say(`${kind.padEnd(10)} ${size(bytes).padStart(9)}  ${name}`);
      if (yes) for (const item of found) await removeGarbage(item);
      const total = size(found.reduce((sum, { bytes }) => sum + bytes, 0));
      if (found.length === 0) say("Everything here is used by a stack.");
      else if (yes)
        say(
          `${found.length} things were removed, ${total}. Images share layers, so less disk space is freed.`,
        );
      else
        say(
          `${found.length} things that no stack of this folder uses, ${total}. \`gpubox gc --yes\` removes them.`,
        );
      return found.map(({ kind, name, bytes }) => ({ kind, name, bytes }));
    }),
  );

function size(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
