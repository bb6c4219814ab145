import type { Problem } from "../../configs/kit/problems";
import { visible } from "../../configs/kit/visible";
import { changesNothing } from "./compare";
import { code, markdown } from "./markdown";
import { headline, type PreviewSection, sectionsOf } from "./sections";
import type { Preview } from "./types";

/** Longest comment on a pull request, in characters. GitHub's limit is 65,536. */
const LONGEST = 60_000;

const NOTHING = "`gpubox up` would change nothing.";

const UNFINISHED = "Nothing differs from what is recorded, but the last `up` did not finish.";

/** What `gpubox preview` prints. */
export function previewText(preview: Preview): string {
  const parts = sectionsOf(preview).map(({ title, lines }) =>
    [
      title,
      ...lines.flatMap(({ text, details }) => [
        `  ${unindented(text)}`,
        ...details.map((detail) => `    ${unindented(detail)}`),
      ]),
    ].join("\n"),
  );
  const head = [`${preview.stack} against ${preview.base}`, summaryOf(preview, (text) => text)];
  return [...head.map(visible), ...parts].join("\n\n");
}

/** Only the renderer indents: a text that begins with spaces stays at its depth. */
function unindented(text: string): string {
  return visible(text).trimStart();
}

/** The preview in one line; `strong` renders it when there are changes. */
function summaryOf(preview: Preview, strong: (text: string) => string): string {
  const { unfinished } = preview;
  if (changesNothing(preview)) return unfinished ? strong(UNFINISHED) : NOTHING;
  return strong([headline(preview), ...(unfinished ? ["the last `up` did not finish"] : [])].join("; "));
}

/** The preview as a comment on a pull request: it shows what clients notice and folds the rest. */
export function previewMarkdown(preview: Preview): string {
  const summary = summaryOf(preview, (text) => `**${markdown(text)}**`);
  const parts = [heading(preview.stack), markdown(`Against ${preview.base}.`), summary];
  let left = LONGEST - parts.join("\n\n").length;
  for (const section of sectionsOf(preview)) {
    const text = markdownOf(section);
    left -= text.length + 2;
    if (left < 0)
      return [...parts, "_The rest is too long for a comment: run `gpubox preview`._"].join("\n\n");
    parts.push(text);
  }
  return `${parts.join("\n\n")}\n`;
}

/** A config that cannot be planned, for a comment on a pull request. */
export function mistakesMarkdown(stack: string, problems: Problem[]): string {
  const lines = problems.flatMap(({ path, what, details = [], fix }) => [
    `- ${code(path)}: ${markdown(`${what} ${fix}`)}`,
    ...details.map((line) => `  - ${markdown(line.trim())}`),
  ]);
  const count = problems.length === 1 ? "a mistake" : `${problems.length} mistakes`;
  return `${heading(stack)}\n\n**${code(`Pulumi.${stack}.yaml`)} has ${count}: \`up\` would refuse it.**\n\n${lines.join("\n")}\n`;
}

/** What the preview says when a change removes a stack's file. */
export function removedText(stack: string): string {
  return (
    `Pulumi.${stack}.yaml is removed. That alone deletes nothing: its box keeps running, but nothing updates it any more. ` +
    `\`gpubox down --stack ${stack}\` takes the box down, and needs the file for it.`
  );
}

/** The same for a comment on a pull request. */
export function removedMarkdown(stack: string): string {
  return `${heading(stack)}\n\n**${markdown(removedText(stack))}**\n`;
}

function heading(stack: string): string {
  return `## gpubox preview: ${markdown(stack)}`;
}

/** Sections that a reviewer should see without a click. */
const OPEN = ["Where requests go", "Models", "Who waits, and how long", "Data", "Policies"];

function markdownOf({ title, lines }: PreviewSection): string {
  const list = lines
    .flatMap(({ text, details }) => [
      `- ${markdown(unindented(text))}`,
      ...details.map((detail) => `  - ${markdown(unindented(detail))}`),
    ])
    .join("\n");
  if (OPEN.includes(title)) return `### ${title}\n\n${list}`;
  return `<details><summary>${title} (${lines.length})</summary>\n\n${list}\n\n</details>`;
}
