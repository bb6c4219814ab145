import { connectionFolder } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import { run } from "../process";
import { onConnection, type StackHost } from "./connection";

export interface ShellResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a script with sh on a stack's host, either here or through its connection, which has to be open.
 *
 * @param words "$1", "$2", …
 * @param stdin may contain a secret
 */
export async function hostShell(
  { stack, host }: StackHost,
  script: string,
  words: string[] = [],
  stdin = "",
): Promise<ShellResult> {
  if (sshAddress(host.docker)) return onConnection(connectionFolder(stack), script, words, stdin);
  return run("sh", ["-c", script, "gpubox", ...words], { stdin });
}

/** Like `hostShell`, but as root. The caller knows that this is possible. */
export function rootShell(at: StackHost, isRoot: boolean, script: string, stdin = ""): Promise<ShellResult> {
  return isRoot
    ? hostShell(at, script, [], stdin)
    : hostShell(at, 'exec sudo -n sh -c "$1"', [script], stdin);
}
