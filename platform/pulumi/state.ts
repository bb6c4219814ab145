import { existsSync, readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { dockerAt } from "../docker/client";
import { closeValves, openValves } from "../docker/valves";
import { UserError } from "../process";
import { type Log, pulumiProject } from "../project";
import { type PulumiEngine, pulumiOutput } from "./engine";

export interface StackState {
  engine: PulumiEngine;
  stack: string;
  log: Log;
}

const lockFile = z.object({
  pid: z.number(),
  username: z.string(),
  hostname: z.string(),
  timestamp: z.string(),
});

export type Lock = z.infer<typeof lockFile>;

/**
 * The content of a lock file of Pulumi's file backend; undefined when it is not a lock, for example one cut short by a
 * crash.
 */
export function parseLock(text: string): Lock | undefined {
  try {
    return lockFile.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * `gone`: a process on this host made it and ended, or another program has its number now. `alive`: that process still
 * runs here. `elsewhere`: another host made it, so nothing is known.
 *
 * @param stat text of /proc/<pid>/stat, undefined when there is no such process
 */
export function lockHolder(
  lock: Lock,
  thisHost: string,
  stat: string | undefined,
): "gone" | "alive" | "elsewhere" {
  if (lock.hostname !== thisHost) return "elsewhere";
  const [, command, state] = /^\d+ \((.*)\) (\S)/s.exec(stat ?? "") ?? [];
  return command?.startsWith("pulumi") && state !== "Z" ? "alive" : "gone";
}

/**
 * Removes the stack's locks when no process holds them any more (`pulumi cancel`). Does nothing when the state is not
 * in a folder: such a backend manages its locks itself.
 *
 * @throws UserError when a lock's process is alive, or when another host made it
 */
export async function clearDeadLock({ engine, stack, log }: StackState): Promise<void> {
  const files = stackLockFiles(engine.projectDir, stack);
  if (files.length === 0) return;
  refuseHeldLocks(files, stack);
  await pulumiOutput(engine, ["cancel", "--yes", "--stack", stack]);
  log(`  cleared the lock of an earlier run that was killed`);
}

/** Paths of a stack's locks; none when the state is not in a folder. */
export function stackLockFiles(projectDir: string, stack: string): string[] {
  const { name, stateDir } = pulumiProject(projectDir);
  if (!stateDir) return [];
  const folder = join(stateDir, ".pulumi", "locks", "organization", name, stack);
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.filter((file) => file.endsWith(".json")).map((file) => join(folder, file));
}

/** @throws UserError when a lock's process is alive, or when another host made it. */
export function refuseHeldLocks(files: string[], stack: string): void {
  for (const file of files) {
    const lock = parseLock(readFileSync(file, "utf8"));
    if (lock) refuseHeldLock(lock, stack);
  }
}

function refuseHeldLock(lock: Lock, stack: string): void {
  const holder = lockHolder(lock, hostname(), processStat(lock.pid));
  if (holder === "alive")
    throw new UserError(
      `Another run holds the stack "${stack}": process ${lock.pid} of ${lock.username}, since ${lock.timestamp}.`,
      `Wait until it ends, or stop it with \`kill -INT ${lock.pid}\`.`,
    );
  if (holder === "elsewhere")
    throw new UserError(
      `${lock.username}@${lock.hostname} (process ${lock.pid}) holds the stack "${stack}" since ${lock.timestamp}.`,
      `Wait until it ends. If you are sure that it is gone, type \`pulumi cancel --stack ${stack}\`.`,
    );
}

function processStat(pid: number): string | undefined {
  if (existsSync("/proc/self/stat")) {
    const path = `/proc/${pid}/stat`;
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  // Without /proc nothing shows whether the PID has been reused, so any running process counts as the holder.
  return `${pid} (pulumi) S`;
}

const resource = z.object({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
});

/** A resource in the state. Secrets among its inputs are encrypted. */
export type StateResource = z.infer<typeof resource>;

const exported = z.object({
  deployment: z.object({
    resources: z.array(resource).nullish(),
    pending_operations: z.array(z.object({ type: z.string(), resource })).nullish(),
  }),
});

/** What the state has: resources, and operations that a killed run left open. */
export interface KnownState {
  resources: StateResource[];
  pending: { type: string; resource: StateResource }[];
}

/** Reads a stack's state, without asking the host. */
export async function readState({ engine, stack }: StackState): Promise<KnownState> {
  const text = await pulumiOutput(engine, ["stack", "export", "--stack", stack]);
  const { deployment } = exported.parse(JSON.parse(text));
  return { resources: deployment.resources ?? [], pending: deployment.pending_operations ?? [] };
}

/**
 * Forgets creates that a killed run left open in the state. Writes only the state: `removeOrphans` finds what such a
 * create left on the host. Other open operations need nothing, because the next `up` repeats them.
 *
 * @returns the state afterwards
 */
export async function resolvePending(state: StackState): Promise<KnownState> {
  const known = await readState(state);
  const { resources, pending } = known;
  const creates = pending.filter((operation) => operation.type === "creating");
  const root = resources.find((entry) => entry.type === "pulumi:pulumi:Stack");
  if (creates.length === 0) return known;
  // With the stack as the only target Pulumi refreshes no resource, so this works while the host is down.
  const target = root ? ["--target", root.urn] : [];
  const args = ["refresh", "--clear-pending-creates", "--yes", "--skip-preview", "--stack", state.stack];
  await pulumiOutput(state.engine, [...args, ...target]);
  for (const { resource } of creates)
    state.log(`  forgot the interrupted create of ${resource.urn.split("::").at(-1)}`);
  return readState(state);
}

/** A container or network on the host. */
export interface HostObject {
  id: string;
  name: string;
  labels: Record<string, string>;
  running: boolean;
}

/**
 * Picks the containers of a stack to remove: those that the state does not know, with a name of this stack and without
 * the label `gpubox.keep`. If the state's edge runs but none of its gateways does, the edge may use an unknown gateway,
 * so unknown gateways stay.
 *
 * @param known docker ids in the state
 * @param prefix start of every name of this stack, `gpubox-<stack>`
 */
export function orphanContainers(containers: HostObject[], known: Set<string>, prefix: string): HostObject[] {
  const has = (role: string) => (one: HostObject) => one.labels["gpubox.role"]?.startsWith(role) === true;
  const serving = containers.filter((one) => one.running && known.has(one.id));
  const spared = serving.some(has("edge")) && !serving.some(has("gateway")) ? has("gateway") : () => false;
  return unknown(containers, known, prefix).filter((one) => !spared(one));
}

/** Compose version 1 joins names with `_`, later versions with `-`. */
function unknown(objects: HostObject[], known: Set<string>, prefix: string): HostObject[] {
  return objects.filter(
    ({ id, name, labels }) =>
      !known.has(id) &&
      (name.startsWith(`${prefix}-`) || name.startsWith(`${prefix}_`)) &&
      labels["gpubox.keep"] === undefined,
  );
}

/** An orphan gets this many seconds to end what it has, and as many to stop. */
const STOP_SECONDS = 60;

/** Names of the valves that close before containers are removed: those before model servers, and those that are among them. */
export function valvesBefore(removed: Pick<HostObject, "labels">[], prefix: string): string[] {
  const valves = removed.flatMap(({ labels }) => {
    const [, kind, slug] = /^(backend|valve)-(.+)$/.exec(labels["gpubox.role"] ?? "") ?? [];
    return kind ? [`${prefix}-valve-${slug}`] : [];
  });
  return [...new Set(valves)];
}

/**
 * Removes containers and networks that carry the label `gpubox.stack=<stack>` and that the state does not know: those
 * that a killed `up` created without recording them, those that Compose runs for this stack, and all of them after the
 * state was lost. Never removes volumes. Logs one line for each.
 *
 * @param docker address of the host's engine
 * @param prefix start of every name of this stack, `gpubox-<stack>`
 * @param resources what the stack's state knows
 */
export async function removeOrphans(options: {
  stack: string;
  docker: string;
  prefix: string;
  resources: StateResource[];
  log: Log;
}): Promise<void> {
  const { log, prefix, resources, stack } = options;
  const docker = dockerAt(options.docker);
  const kinds = ["docker:index/container:Container", "docker:index/network:Network"];
  const known = new Set(
    resources.filter((entry) => kinds.includes(entry.type)).flatMap((entry) => entry.id ?? []),
  );
  const labels = [`gpubox.stack=${stack}`];
  const containers = (await docker.containers({ all: true, labels })).map(({ Id, Name, Config, State }) => ({
    id: Id,
    name: Name,
    labels: Config.Labels,
    running: isRunning(State.Status),
  }));
  const orphans = orphanContainers(containers, known, prefix);
  const valves = valvesBefore(orphans, prefix);
  for (const line of await closeValves(options.docker, valves, STOP_SECONDS)) log(`  ${line}`);
  for (const { id, name } of orphans) {
    // An orphan may be a database with an open volume, so it gets time to close it.
    await docker.output(["stop", "-t", String(STOP_SECONDS), id]);
    await docker.output(["rm", id]);
    log(`  removed the container ${name}, which the stack's state does not know`);
  }
  await openValves(options.docker, valves);
  const networks = (await docker.networks({ labels })).map(({ Id, Name, Labels }) => ({
    ...{ id: Id, name: Name, labels: Labels, running: false },
  }));
  for (const { id, name } of unknown(networks, known, prefix)) {
    const removed = await docker.run(["network", "rm", id]);
    if (removed.code === 0) log(`  removed the network ${name}, which the stack's state does not know`);
    else log(`  kept the network ${name}, which the stack's state does not know: a container uses it`);
  }
}

/** The engine reports a paused container, and one between two starts, as running. */
function isRunning(status: string): boolean {
  return ["running", "paused", "restarting"].includes(status);
}
