import { markdown as inMarkdown } from "../configs/preview/markdown";
import {
  mistakesMarkdown,
  previewMarkdown,
  previewText,
  removedMarkdown,
  removedText,
} from "../configs/preview/render";
import { ConfigError } from "../configs/problems";
import { visible } from "../configs/visible";
import { isRemoved } from "../runner/preview/base";
import { type EngineView, enginePreview } from "../runner/preview/engine";
import { previewStack } from "../runner/preview/preview";
import { defaultProjectDir } from "../runner/project";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "preview",
  does: "Says what `up` would change in terms of models: what is replaced and why, who waits, what is downloaded or lost.",
  options: {
    stack: stackOption,
    base: {
      type: "string",
      value: "REF",
      help: "compare with the merge base of this git ref; default: with what the last `up` from here made",
    },
    markdown: { type: "boolean", default: false, help: "print Markdown, for a comment on a pull request" },
    engine: {
      type: "boolean",
      default: false,
      help: "add what `pulumi preview` counts; needs the stack's state and passphrase",
    },
  },
} as const;

verb(about, async ({ values }) => {
  const { stack, base, markdown } = values;
  if (base && (await isRemoved(defaultProjectDir, stack, base))) {
    say(markdown ? removedMarkdown(stack) : removedText(stack));
    return { stack, removed: true };
  }
  try {
    const preview = await previewStack(defaultProjectDir, stack, base);
    const engine = values.engine ? await enginePreview(defaultProjectDir, stack) : undefined;
    say(markdown ? previewMarkdown(preview) : previewText(preview));
    if (engine) say(`\n${(markdown ? inMarkdown : visible)(engineWords(engine))}`);
    return { ...preview, ...(engine ? { engine } : {}) };
  } catch (error) {
    if (!markdown || !(error instanceof ConfigError)) throw error;
    // The mistakes are what a reviewer has to read, so they go where the preview would.
    say(mistakesMarkdown(stack, error.problems));
    process.exitCode = 1;
    return { stack, problems: error.problems };
  }
});

function engineWords(view: EngineView): string {
  if ("reason" in view) return `Pulumi's own preview is not here: ${view.reason}.`;
  const counts = Object.entries(view.counts).map(([operation, count]) => `${count} ${operation}`);
  return `Pulumi's own preview counts: ${counts.join(", ") || "nothing"}.`;
}
