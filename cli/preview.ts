import { ConfigError } from "../configs/kit/problems";
import { visible } from "../configs/kit/visible";
import { isRemoved } from "../operations/preview/base";
import { type EngineView, enginePreview } from "../operations/preview/engine";
import { markdown as inMarkdown } from "../operations/preview/markdown";
import { previewStack } from "../operations/preview/preview";
import {
  mistakesMarkdown,
  previewMarkdown,
  previewText,
  removedMarkdown,
  removedText,
} from "../operations/preview/render";
import { findProject } from "../platform/project";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("preview")
  .description(
    "Show what `up` would change, in terms of models: what is replaced and why, who waits, what is downloaded or lost (docs/preview.md).",
  )
  .option(
    "--base <ref>",
    "compare with the merge base of this git ref; default: with the last `up` from here",
  )
  .option("--markdown", "print Markdown for a pull request comment")
  .option("--engine", "add the counts of `pulumi preview`; needs the stack's state and passphrase")
  .addHelpText("after", examples("preview --stack box", "preview --stack box --base origin/main --markdown"))
  .action(
    printing(async (options) => {
      const { stack, base, markdown } = options;
      const projectDir = findProject();
      if (base && (await isRemoved(projectDir, stack, base))) {
        say(markdown ? removedMarkdown(stack) : removedText(stack));
        return { stack, removed: true };
      }
      try {
        const preview = await previewStack(projectDir, stack, base);
        const engine = options.engine ? await enginePreview(projectDir, stack) : undefined;
        say(markdown ? previewMarkdown(preview) : previewText(preview));
        if (engine) say(`\n${(markdown ? inMarkdown : visible)(engineWords(engine))}`);
        return { ...preview, ...(engine ? { engine } : {}) };
      } catch (error) {
        if (!markdown || !(error instanceof ConfigError)) throw error;
        // A reviewer has to read the mistakes, so they go where the preview would.
        say(mistakesMarkdown(stack, error.problems));
        process.exitCode = 1;
        return { stack, problems: error.problems };
      }
    }),
  );

function engineWords(view: EngineView): string {
  if ("reason" in view) return `Pulumi's own preview is missing: ${view.reason}.`;
  const counts = Object.entries(view.counts).map(([operation, count]) => `${count} ${operation}`);
  return `Pulumi's own preview counts: ${counts.join(", ") || "nothing"}.`;
}
