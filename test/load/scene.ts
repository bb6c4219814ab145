import type { LoadBox, Sections } from "./box";
import { mustSucceed } from "./box";
import type { Load, LoadOptions } from "./client";

/** What a scene says about itself, besides what the load counted. */
export interface Outcome {
  /** Seconds from the edit, or from the blow, until the new state was served. */
  served?: number;
  note?: string;
}

/** Something that happens to a box while it is used. */
export interface Scene {
  title: string;
  /**
   * `zero`: nothing may be lost. `in flight`: only what was in flight when a process was killed. `outage`: the outage is
   * printed. `honest`: the load must report losses.
   */
  bar: "zero" | "in flight" | "outage" | "honest";
  /** Runs only when it is named. */
  byName?: boolean;
  /** Other clients than the usual ones. */
  clients?: Pick<LoadOptions, "shorts" | "streams" | "streamSeconds">;
  /** Done before the clients start. */
  prepare?: (box: LoadBox) => Promise<void>;
  run: (box: LoadBox, load: Load) => Promise<Outcome>;
  /** Done after the clients ended. */
  restore?: (box: LoadBox) => Promise<void>;
}

/** A good change: `up` succeeds, the edge moves, and one generation is left. */
export async function goodChange(box: LoadBox, edit: (config: Sections) => void): Promise<Outcome> {
  const change = await box.change(edit);
  mustSucceed(change);
  await oneGeneration(box);
  return { served: change.served };
}

/** A bad change: `up` fails, the same gateway serves on; taking the change back succeeds and leaves one generation. */
export async function badChange(
  box: LoadBox,
  edits: { wrong: (config: Sections) => void; back: (config: Sections) => void; reason: RegExp },
): Promise<Outcome> {
  const before = box.serving();
  const models = await box.models();
  const change = await box.change(edits.wrong);
  if (change.code === 0) throw new Error("`up` took the bad change");
  const words = change.stdout + change.stderr;
  if (!edits.reason.test(words))
    throw new Error(`\`up\` did not say ${edits.reason}:\n${words.slice(-2000)}`);
  if (box.serving() !== before) throw new Error("another gateway serves after a refused change");
  const refused = `refused: ${edits.reason.exec(words)?.[0]}`;
  mustSucceed(await box.change(edits.back));
  if ((await box.models()) !== models)
    throw new Error("taking the change back did not bring the old models back");
  await oneGeneration(box);
  return { note: refused };
}

/** Nothing is left of earlier generations. */
export async function oneGeneration(box: LoadBox): Promise<void> {
  const left = (await box.gateways()).join(",");
  const serving = box.serving().split(",").sort().join(",");
  if (left !== serving) throw new Error(`gateways ${left} exist, and the edge serves ${serving}`);
}
