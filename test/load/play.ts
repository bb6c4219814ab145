import { pause } from "../support/wait";
import { blows } from "./blows";
import type { LoadBox } from "./box";
import { changes } from "./changes";
import type { Tally } from "./client";
import type { Outcome, Scene } from "./scene";

/** Every scene by its name, in playing order. */
export const scenes: Record<string, Scene> = { ...changes, ...blows };

/** A played scene. */
export interface Row {
  name: string;
  title: string;
  tally?: Tally;
  outcome: Outcome;
  verdict: "passed" | "FAILED";
}

/** Plays one scene under load. A scene that throws becomes a failed row. */
export async function play(box: LoadBox, name: string): Promise<Row> {
  const scene = scenes[name];
  if (!scene) throw new Error(`there is no scene ${name}: ${Object.keys(scenes).join(", ")}`);
  const { title } = scene;
  const memory = box.remember();
  let tally: Tally | undefined;
  let outcome: Outcome = {};
  try {
    await scene.prepare?.(box);
    const load = await box.load({ maxSeconds: 1800, ...scene.clients });
    try {
      outcome = await scene.run(box, load);
      await pause(2000, "what the change broke shows in the requests after it");
    } finally {
      tally = await load.stop();
    }
    await scene.restore?.(box);
    if (holds(scene, tally)) return { name, title, tally, outcome, verdict: "passed" };
    outcome.note = `${outcome.note ?? ""} logs in ${await box.keepLogs(name)}`;
    return { name, title, tally, outcome, verdict: "FAILED" };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    const note = `${words}; logs in ${await box.keepLogs(name)}`;
    await box.recall(memory);
    return { name, title, tally, outcome: { ...outcome, note }, verdict: "FAILED" };
  }
}

function holds({ bar }: Scene, { failed, cut, wrong }: Tally): boolean {
  if (bar === "outage") return true;
  return failed + cut + wrong > 0 === (bar === "honest");
}

/** The rows as a Markdown table, and the notes on single scenes below it. */
export function table(rows: Row[]): string {
  const head = [
    "scene",
    "requests",
    "streams",
    "failed",
    "cut",
    "wrong",
    "lost in flight",
    "longest wait, s",
    "p50, ms",
    "p99, ms",
    "edit to served, s",
    "",
  ];
  const cells = rows.map(({ title, tally, outcome, verdict }) => [
    title,
    ...(tally
      ? [tally.requests, tally.streams, tally.failed, tally.cut, tally.wrong, tally.excused]
      : Array(6).fill("–")),
    ...(tally ? [tally.longestWait.toFixed(1), tally.p50, tally.p99] : Array(3).fill("–")),
    outcome.served?.toFixed(1) ?? "–",
    verdict,
  ]);
  const line = (row: unknown[]) => `| ${row.join(" | ")} |`;
  const notes = rows.flatMap(({ name, outcome, tally }) =>
    [outcome.note, ...(tally?.reasons ?? [])].filter(Boolean).map((note) => `- ${name}: ${note}`),
  );
  return [line(head), line(head.map(() => "---")), ...cells.map(line), "", ...notes].join("\n");
}
