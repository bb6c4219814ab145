import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { shellQuote } from "../../configs/kit/text";
import { connectionFolder, engineAddress } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";
import { dockerAt } from "../docker/client";
import { UserError } from "../process";
import { writePrivateFile } from "../project";
import { ENGINE_PROBE, engineFailure, sshFailure } from "./failures";
import { holdConnection, releaseConnection } from "./hold";
import { locked } from "./lock";
import { sshConfig } from "./sshConfig";

/** The part of a stack config that a connection needs. */
export interface StackHost {
  stack: string;
  host: HostConfig;
}

/** Timeout in milliseconds for a handshake, long enough for a jump host on a slow line. */
const OPEN_MS = 60_000;

/** Timeout in milliseconds for the engine's answer over an open connection. */
const ANSWER_MS = 30_000;

/**
 * Makes sure that a host behind SSH is connected and its engine answers at `engineAddress()`. Does nothing for an
 * engine of this machine. Everything that follows shares the one connection, which stays open for ten idle minutes.
 * Blocks the event loop, so that a Pulumi program may call it before it declares resources.
 *
 * Paths in state are relative to the project, so the process works in it from here on.
 *
 * @throws UserError for each way in which SSH or the engine can fail
 */
export function connectHost(projectDir: string, at: StackHost): void {
  const { stack, host } = at;
  const address = sshAddress(host.docker);
  if (!address) return;
  connectSsh(projectDir, at);
  if (engineAnswers(at)) return;
  // A connection that broke silently still counts as open, and a new member of the group docker needs a new connection.
  disconnectHost(at);
  connectSsh(projectDir, at);
  if (engineAnswers(at)) return;
  const probe = onConnection(connectionFolder(stack), ENGINE_PROBE, [address.socket]);
  const { what, fix } =
    probe.code === 0 ? engineFailure(probe.stdout, host, stack) : sshFailure(probe.stderr, host);
  disconnectHost(at);
  throw new UserError(what, fix);
}

/**
 * Like `connectHost`, but without an engine, for a host that has none yet.
 *
 * @throws UserError for each way in which SSH can fail
 */
export function connectSsh(projectDir: string, at: StackHost): void {
  const { stack, host } = at;
  const address = sshAddress(host.docker);
  if (!address) return;
  process.chdir(projectDir);
  const folder = connectionFolder(stack);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // If two processes connected at once, one of the connections would be unused and never end.
  const words = locked(join(folder, "lock"), () => {
    const text = sshConfig(stack, host);
    // The connection may lead to the host that the config named before.
    if (text !== read(join(folder, "config"))) disconnectHost(at);
    writePrivateFile(join(folder, "config"), text);
    if (isOpen(folder)) return undefined;
    rmSync(join(folder, "master"), { force: true });
    return openMaster(folder, address.socket);
  });
  if (words === undefined) {
    holdConnection(folder, sshArguments(folder));
    return;
  }
  const { what, fix } = sshFailure(words, host);
  throw new UserError(what, fix);
}

/** True where a stack's host can be asked without a new connection: it is this machine, or its connection is open. */
export function isConnected(projectDir: string, { stack, host }: StackHost): boolean {
  if (!sshAddress(host.docker)) return true;
  process.chdir(projectDir);
  const folder = connectionFolder(stack);
  return read(join(folder, "config")) === sshConfig(stack, host) && isOpen(folder);
}

/** Closes a stack's connection; the next use opens a new one. */
export function disconnectHost({ stack }: StackHost): void {
  const folder = connectionFolder(stack);
  releaseConnection(folder);
  if (read(join(folder, "config"))) ssh(folder, ["-O", "exit"]);
}

/** Runs a script with sh on the host, with `words` as "$1", "$2", …. Standard input may contain a secret. */
export function onConnection(
  folder: string,
  script: string,
  words: string[] = [],
  stdin = "",
): { code: number; stdout: string; stderr: string } {
  const command = ["sh", "-c", script, "gpubox", ...words].map(shellQuote).join(" ");
  return ssh(folder, [], { command, stdin });
}

/** Arguments of `ssh` for a stack's connection, without a command. */
export function sshArguments(folder: string): string[] {
  const name = /^Host (\S+)$/m.exec(read(join(folder, "config")))?.[1] ?? "";
  return ["-F", join(folder, "config"), name];
}

/** Opens the connection. Returns the standard error of a failed attempt, undefined on success. */
function openMaster(folder: string, socket: string): string | undefined {
  const log = join(folder, "log");
  rmSync(log, { force: true });
  // A file instead of a pipe: the connection goes to the background and would keep a pipe open.
  const file = openSync(log, "w", 0o600);
  const forward = `${join(folder, "docker.sock")}:${socket}`;
  const opened = spawnSync(
    "ssh",
    ["-f", "-N", "-o", "ControlMaster=yes", "-L", forward, ...sshArguments(folder)],
    { stdio: ["ignore", file, file], timeout: OPEN_MS },
  );
  closeSync(file);
  if (opened.status === 0) return undefined;
  if (opened.error && "code" in opened.error && opened.error.code === "ENOENT")
    throw new UserError("The program `ssh` is missing here.", "Type `sudo apt-get install openssh-client`.");
  if (opened.error) return "Connection timed out";
  // A persistent connection hides what its jump host's client says; one that does not persist shows it.
  const words = read(log);
  return /UNKNOWN port/.test(words) ? sayAgain(folder) : words;
}

function sayAgain(folder: string): string {
  return ssh(folder, ["-o", "ControlPath=none"], { command: "true" }).stderr;
}

function isOpen(folder: string): boolean {
  return ssh(folder, ["-O", "check"]).code === 0;
}

function engineAnswers(at: StackHost): boolean {
  const ask = ["version", "--format", "{{.Server.Version}}"];
  const { code } = dockerAt(engineAddress(at)).runSync(ask, ANSWER_MS);
  if (code === 127)
    throw new UserError("The program `docker` is missing here.", "Install the Docker CLI on this machine.");
  return code === 0;
}

function ssh(folder: string, options: string[], { command = "", stdin = "" } = {}) {
  const [flag, config, name] = sshArguments(folder);
  const args = [...options, flag!, config!, name!, ...(command ? [command] : [])];
  const { status, stdout, stderr } = spawnSync("ssh", args, { encoding: "utf8", input: stdin });
  return { code: status ?? 255, stdout: stdout ?? "", stderr: stderr ?? "" };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
