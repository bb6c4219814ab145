import { relative } from "node:path";
import { initProject } from "../operations/init/init";
import { command, examples, printing } from "./command";
import { say } from "./output";

export const definition = command("init")
  .description(
    "Write your own project: the stack config, a program of three lines, and a workflow that previews pull requests.",
  )
  .argument("<dir>", "an empty folder, or a new one")
  .addHelpText("after", examples("init my-box", "init ."))
  .action(
    printing(async (dir) => {
      const made = initProject(dir);
      const there = relative(process.cwd(), made.dir) || ".";
      say(`${there} is a gpubox project now: ${made.files.join(", ")}.`);
      say("Next:");
      say(`  ${there === "." ? "" : `cd ${there} && `}npm install`);
      say("  npx gpubox up");
      return made;
    }),
  );
