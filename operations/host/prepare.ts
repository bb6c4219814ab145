import type { Failure } from "../../configs/kit/problems";
import { dockerHostName } from "../../configs/network/engine";
import { UserError } from "../../platform/process";
import type { StackHost } from "../../platform/ssh/connection";
import { hostShell, rootShell } from "../../platform/ssh/shell";
import { deviceWords } from "./deviceFiles";
import { type HostGround, type Place, readGround } from "./ground";
import { type HostInput, type HostPlan, planHost, planUnprepare, unprepared } from "./planHost";
import { type HostState, type HostStep, parseState, STATE_PROBE } from "./state";
import { noRoom, unfitHost, withoutSystemd, wrongClock } from "./unfit";

/** Reads a host and changes nothing. Uses sudo, where it needs no password, for what only root may read. */
export async function readHost(at: StackHost): Promise<HostState> {
  const { dataDir } = at.host;
  const root =
    'r=""; [ "$(id -u)" = 0 ] || { sudo -n sh -c : 2>/dev/null && r="sudo -n"; }; sh -c "$1" gpubox "$2" "$r" "$3"';
  const read = await hostShell(at, root, [STATE_PROBE, dataDir, at.stack]);
  if (read.code !== 0)
    throw new UserError(
      `${dockerHostName(at.host.docker)} cannot be read: ${lastLine(read.stderr) || `exit code ${read.code}`}.`,
      "Run `gpubox doctor` to see how far it gets.",
    );
  return parseState(read.stdout);
}

/** Steps that write much, or that restart Docker, which a full disk would not survive. */
const NEED_ROOM: HostStep["id"][] = ["packages", "apparmor", "daemon", "start", "nvidia"];

/** Steps that fetch something, which a wrong clock makes a stranger to every server. */
const NEED_CLOCK: HostStep["id"][] = ["packages", "apparmor", "nvidia"];

export interface PreparationInput extends Omit<HostInput, "dataDir"> {
  /** A model computes by AMD's `/dev/kfd`. */
  computesByKfd: boolean;
}

/**
 * Plans the preparation of a host. Changes nothing.
 *
 * @param input what the plan is made from; `remove` plans the removal
 * @throws UserError when preparation is impossible, as with no sudo, no apt, a broken daemon.json; and when a box could
 * not stand on the host afterwards
 */
export async function planPreparation(
  at: StackHost,
  input: PreparationInput | "remove",
): Promise<HostPlan & { state: HostState }> {
  const state = await readHost(at);
  const name = dockerHostName(at.host.docker);
  if (input === "remove") {
    const plan = planUnprepare(state, at.stack);
    refuse(plan.steps.length > 0 ? unprepared(state, name, at.stack) : undefined);
    return { ...plan, state };
  }
  const plan = planHost(state, { dataDir: at.host.dataDir, ...input });
  refuse(plan.steps.length > 0 ? unprepared(state, name, at.stack) : undefined);
  const ground = await readGround(at);
  const place = { name, host: at.host, computesByKfd: input.computesByKfd };
  refuse(unfitForSteps(ground, place, plan.steps));
  return { ...plan, notes: [...plan.notes, ...groundNotes(ground, name)], state };
}

/** Why steps must not be run on a host, or would be in vain; undefined where they may. Pure. */
export function unfitForSteps(ground: HostGround, place: Place, steps: HostStep[]): Failure | undefined {
  const has = (ids: HostStep["id"][]) => steps.some(({ id }) => ids.includes(id));
  const [unfit] = unfitHost(ground, place);
  return (
    unfit ??
    (has(NEED_CLOCK) ? wrongClock(ground, place.name) : undefined) ??
    (has(NEED_ROOM) ? noRoom(ground, place.name) : undefined)
  );
}

function groundNotes(ground: HostGround, name: string): string[] {
  const systemd = withoutSystemd(ground, name);
  const devices = deviceWords(ground.devices);
  return [...(systemd ? [`${systemd.what} ${systemd.fix}`] : []), ...(devices ? [devices] : [])];
}

function refuse(failure: Failure | undefined): void {
  if (failure) throw new UserError(failure.what, failure.fix);
}

/** Step to the one without which it cannot work. Without Docker none can. */
const NEEDS: Partial<Record<HostStep["id"], HostStep["id"]>> = { cdi: "nvidia" };

/**
 * Runs steps. One that fails keeps only those from running that need it.
 *
 * @param begin called before each step
 * @throws UserError with the last words of each failed program; finished steps stay, and the next run continues after
 * them
 */
export async function prepareSteps(
  at: StackHost,
  state: HostState,
  steps: HostStep[],
  begin: (step: HostStep) => void,
): Promise<void> {
  const failed = new Map<HostStep["id"], string>();
  for (const step of steps) {
    const { id, does, script, stdin } = step;
    if (failed.has("packages") || failed.has(NEEDS[id] ?? id)) continue;
    begin(step);
    const done = await rootShell(at, state.root === "is root", script, stdin);
    if (done.code === 0) continue;
    const said = lastLine(done.stderr) || lastLine(done.stdout) || `exit code ${done.code}`;
    failed.set(id, `The step "${does}" failed: ${said}.`);
  }
  if (failed.size === 0) return;
  throw new UserError(
    [...failed.values()].join(" "),
    `Correct that on ${dockerHostName(at.host.docker)} and run \`gpubox host prepare --stack ${at.stack}\` again.`,
  );
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").replace(/[.\s]+$/, "");
}
