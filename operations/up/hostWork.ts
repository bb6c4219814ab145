import { lastLine } from "../../configs/kit/visible";
import type { Progress } from "../../platform/progress";

/** A container whose work somebody waits for. */
export interface Awaited {
  container: string;
  /** As a person calls it: a model, or a part of the box. */
  name: string;
}

/** The status of a container at which Docker, which looks every ten seconds, has not looked yet. */
const JUST_STARTED = /^Up (Less than a second|\d seconds?|10 seconds) \(health: starting\)/;

/**
 * Containers of a box that are not healthy yet, model servers first. One that has just started is not named: Docker has not looked
 * at it yet.
 *
 * @param listing lines `NAME<tab>ROLE<tab>STATUS` of `docker ps --all`
 * @param models role of a model's container to the model's name
 */
export function awaited(listing: string[], models: ReadonlyMap<string, string>): Awaited[] {
  const waiting = listing.flatMap((line) => {
    const [container = "", role = "", status = ""] = line.split("\t");
    if (JUST_STARTED.test(status) || !/\((health: starting|unhealthy)\)|^Restarting/.test(status)) return [];
    const model = models.get(role);
    return [{ container, name: model ? `the model ${model}` : role, model }];
  });
  const ordered = [...waiting.filter(({ model }) => model), ...waiting.filter(({ model }) => !model)];
  return ordered.map(({ container, name }) => ({ container, name }));
}

const SIZES = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 } as const;

const SIZE = "([\\d.]+) ([KMGT]?B)";
const BEGIN = new RegExp(`: \\d+ files, ${SIZE}, ${SIZE} of it here already$`, "m");
const STAND = /^(\S+) .* · all (\d+) % · ([\d.]+) MB\/s · ETA \S+$/gm;

/** How far a download of a model's files is, from the log of assets/weights/fetch.py. */
export function downloadState(log: string): Omit<Progress, "what"> {
  const begin = BEGIN.exec(log);
  if (!begin) return { detail: lastLine(log) };
  const total = bytesOf(begin[1], begin[2]);
  const [, file, percent, speed] = [...log.matchAll(STAND)].at(-1) ?? [];
  if (!percent) return { done: bytesOf(begin[3], begin[4]), total, unit: "bytes" };
  const done = Math.round((total * Number(percent)) / 100);
  return { done, total, unit: "bytes", rate: Number(speed) * 1e6, detail: file };
}

function bytesOf(count = "0", unit = "B"): number {
  return Number(count) * (SIZES[unit as keyof typeof SIZES] ?? 1);
}
