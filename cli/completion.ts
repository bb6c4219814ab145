import { join } from "node:path";
import { Argument } from "@commander-js/extra-typings";
import type { Command } from "commander";
import { z } from "zod";
import { findProject, packageDir, stackNames } from "../platform/project";
import { readYaml } from "../platform/userFiles";
import { command, examples, printing } from "./command";
import { candidates } from "./complete";
import { completionScript, SHELLS } from "./completionScripts";
import { jsonWanted, say } from "./output";

/**
 * Our own completion, because it needs only the program's tree and three short scripts. `@bomb.sh/tab` has an adapter
 * for commander, but it is at 0.0.x and would load every command at each Tab. This loads only the one being typed.
 */
export const definition = command("completion")
  .description("Print a script that completes commands, options, stacks and models in your shell.")
  .addArgument(new Argument("<shell>").choices(SHELLS))
  .argument("[words...]", "for the script itself: the command line so far, after `--`")
  .addHelpText(
    "after",
    `${examples("completion bash")}
In ~/.bashrc:    source <(npx gpubox completion bash)
In ~/.zshrc:     source <(npx gpubox completion zsh)
In config.fish:  npx gpubox completion fish | source`,
  )
  .action(
    printing(async (shell, words, _, own) => {
      if (words.length > 0) {
        const found = candidates(own.parent as unknown as Command, words, namesOfProject);
        for (const { word, summary } of found) say(summary ? `${word}\t${oneLine(summary)}` : word);
        return found;
      }
      const script = completionScript(shell, [process.execPath, join(packageDir, "bin/gpubox.cjs")]);
      if (!jsonWanted()) process.stdout.write(script);
      return { shell, script };
    }),
  );

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}

const stackFile = z.object({ config: z.record(z.string(), z.unknown()) });
const section = z.record(z.string(), z.unknown());

/**
 * Names from the project's files. There are none outside a project or when a file has mistakes, because Tab is no place
 * for errors.
 */
function namesOfProject(kind: string, stack: string): string[] {
  try {
    const project = findProject();
    if (kind === "stack") return stackNames(project);
    if (kind !== "model" && kind !== "job") return [];
    const { config } = stackFile.parse(readYaml(join(project, `Pulumi.${stack}.yaml`)));
    return Object.keys(section.parse(config[`gpubox:${kind}s`]));
  } catch {
    return [];
  }
}
