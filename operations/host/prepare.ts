import { dockerHostName } from "../../configs/network/engine";
import { UserError } from "../../platform/process";
import type { StackHost } from "../../platform/ssh/connection";
import { hostShell, rootShell } from "../../platform/ssh/shell";
import { type HostInput, type HostPlan, planHost, planUnprepare, unprepared } from "./planHost";
import { type HostState, type HostStep, parseState, STATE_PROBE } from "./state";

/** Reads a host and changes nothing. Uses sudo, where it needs no password, for what only root may read. */
export async function readHost(at: StackHost): Promise<HostState> {
  const { dataDir } = at.host;
  const root =
    'r=""; [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && r="sudo -n"; }; sh -c "$1" gpubox "$2" "$r" "$3"';
  const read = await hostShell(at, root, [STATE_PROBE, dataDir, at.stack]);
  if (read.code !== 0)
    throw new UserError(
      `${dockerHostName(at.host.docker)} cannot be read: ${lastLine(read.stderr) || `exit code ${read.code}`}.`,
      "Run `gpubox doctor` to see how far it gets.",
    );
  return parseState(read.stdout);
}

/**
 * Plans the preparation of a host.
 *
 * @param input what the plan is made from; `remove` plans the removal
 * @throws UserError when preparation is impossible: no sudo, no apt, a broken daemon.json
 */
export async function planPreparation(
  at: StackHost,
  input: Omit<HostInput, "dataDir"> | "remove",
): Promise<HostPlan & { state: HostState }> {
  const state = await readHost(at);
  const plan =
    input === "remove"
      ? planUnprepare(state, at.stack)
      : planHost(state, { dataDir: at.host.dataDir, ...input });
  const refused =
    plan.steps.length > 0 ? unprepared(state, dockerHostName(at.host.docker), at.stack) : undefined;
  if (refused) throw new UserError(refused.what, refused.fix);
  return { ...plan, state };
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
