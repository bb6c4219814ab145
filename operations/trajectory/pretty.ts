import { conversationOf, type Json } from "./conversations";
import type { TrajectoryLine } from "./line";
import type { LogReport } from "./reconcile";

/** Selects lines. An absent key matches every line. */
export interface LineFilter {
  conversation?: string;
  job?: string;
  model?: string;
  outcome?: string;
  route?: string;
  /** Includes attempts that were retried. */
  attempts?: boolean;
}

export function fits(line: TrajectoryLine, filter: LineFilter): boolean {
  return (
    (filter.attempts === true || line.final) &&
    (filter.conversation === undefined || conversationOf(line) === filter.conversation) &&
    (filter.job === undefined || line.job === filter.job) &&
    (filter.model === undefined || line.model === filter.model) &&
    (filter.outcome === undefined || line.outcome === filter.outcome) &&
    (filter.route === undefined || line.route === filter.route)
  );
}

/** Characters of question and answer on one terminal line. */
const EXCERPT = 60;

/** A line for people: time, model, outcome, and the first words of question and answer. */
export function pretty(line: TrajectoryLine): string {
  const status = line.final ? `${line.response?.status ?? "---"}` : "again";
  const timing = `${Math.round(line.duration_ms)} ms`;
  const first = line.first_token_ms === null ? "" : ` (first ${Math.round(line.first_token_ms)})`;
  const tokens = line.usage ? `${line.usage.prompt_tokens}+${line.usage.completion_tokens} tok` : "";
  const head = [
    line.started_at.slice(0, 23).replace("T", " "),
    conversationOf(line).slice(0, 12).padEnd(12),
    line.route.padEnd(16),
    (line.model ?? "-").padEnd(16),
    status.padStart(5),
    line.outcome.padEnd(12),
    `${timing}${first}`.padEnd(20),
    tokens.padEnd(14),
  ];
  const end = line.error ? `! ${excerpt(line.error.message)}` : `${asked(line)} -> ${answered(line)}`;
  return `${head.join("  ")}  ${end}`;
}

function asked(line: TrajectoryLine): string {
  const body = bodyOf(line.request);
  const messages = Array.isArray(body.messages) ? (body.messages as Json[]) : [];
  return excerpt(words(messages.at(-1)?.content ?? body.input ?? body.prompt));
}

function answered(line: TrajectoryLine): string {
  const body = bodyOf(line.response ?? {});
  const choice = (Array.isArray(body.choices) ? (body.choices[0] as Json | undefined) : undefined) ?? {};
  const message = (choice.message ?? body) as Json;
  const calls = Array.isArray(message.tool_calls) ? (message.tool_calls as { function: Json }[]) : [];
  const text = words(message.content ?? choice.text ?? body.output);
  return excerpt([text, ...calls.map((call) => `[calls ${call.function.name}]`)].filter(Boolean).join(" "));
}

function words(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: Json) => {
      if (typeof part === "string") return part;
      if (part.type === "tool_use") return `[calls ${part.name}]`;
      return words(part.text ?? part.content) || `[${part.type}]`;
    })
    .join(" ");
}

function bodyOf(holder: object): Json {
  const { body } = holder as { body?: unknown };
  return body !== null && typeof body === "object" ? (body as Json) : {};
}

function excerpt(text: string): string {
  const flat = text.replace(/\s+/g, " ").trim();
  return flat.length > EXCERPT ? `${flat.slice(0, EXCERPT)}…` : flat;
}

/** How many findings of one kind to print; the rest are only counted. */
const LISTED = 20;

/** A report for people. */
export function reportText(report: LogReport): string {
  const outcomes = Object.entries(report.outcomes).map(([outcome, count]) => `${count} ${outcome}`);
  const lists = [
    ["missing", report.missing.map(({ id, at, path, why }) => [id, at, path, why])],
    ["with another body than the one received", report.different.map(({ id, why }) => [id, why])],
    ["twice", report.duplicate.map(({ id, why }) => [id, why])],
    ["with a line, but not counted", report.uncounted.map(({ id, why }) => [id, why])],
    ["broken lines", report.broken.map(({ where, why }) => [where, why])],
  ] as const;
  const texts = lists
    .filter(([, rows]) => rows.length > 0)
    .flatMap(([title, rows]) => [
      `${title}: ${rows.length}`,
      ...rows.slice(0, LISTED).map((row) => `  ${row.filter(Boolean).join("  ")}`),
      ...(rows.length > LISTED ? [`  … and ${rows.length - LISTED} more; --json lists them all`] : []),
    ]);
  return [
    `${report.requests} requests counted, ${report.lines} lines${outcomes.length > 0 ? `: ${outcomes.join(", ")}` : ""}`,
    ...texts,
    ...(report.websockets > 0 ? [`not logged: ${report.websockets} WebSocket connections`] : []),
    ...(report.refused > 0 ? [`refused while the log could not be written: ${report.refused}`] : []),
    ...(report.open > 0 ? [`in progress: ${report.open}`] : []),
    report.complete ? "complete" : "NOT complete",
  ].join("\n");
}
