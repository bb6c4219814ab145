import { dockerHostName } from "../../configs/network/engine";
import { UserError } from "../../platform/process";
import type { StackHost } from "../../platform/ssh/connection";
import { hostShell, rootShell } from "../../platform/ssh/shell";
import type { FirewallInput } from "./firewall";
import { type HostPlan, planHost, planUnprepare, unprepared } from "./planHost";
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
 * @param firewall input of the rules; `remove` plans their removal
 * @throws UserError when preparation is impossible: no sudo, no apt, a broken daemon.json
 */
export async function planPreparation(
  at: StackHost,
  firewall: FirewallInput | "remove",
): Promise<HostPlan & { state: HostState }> {
  const state = await readHost(at);
  const plan =
    firewall === "remove"
      ? planUnprepare(state, at.stack)
      : planHost(state, { dataDir: at.host.dataDir, firewall });
  const refused =
    plan.steps.length > 0 ? unprepared(state, dockerHostName(at.host.docker), at.stack) : undefined;
  if (refused) throw new UserError(refused.what, refused.fix);
  return { ...plan, state };
}

/**
 * Runs one step.
 *
 * @throws UserError with the last words of the failed program; finished steps stay, and the next run continues after
 * them
 */
export async function prepareStep(at: StackHost, state: HostState, step: HostStep): Promise<void> {
  const done = await rootShell(at, state.root === "is root", step.script, step.stdin);
  if (done.code === 0) return;
  throw new UserError(
    `The step "${step.does}" failed: ${lastLine(done.stderr) || lastLine(done.stdout) || `exit code ${done.code}`}.`,
    `Correct that on ${dockerHostName(at.host.docker)} and run \`gpubox host prepare --stack ${at.stack}\` again.`,
  );
}

function lastLine(text: string): string {
  return (text.trim().split("\n").at(-1) ?? "").replace(/[.\s]+$/, "");
}
