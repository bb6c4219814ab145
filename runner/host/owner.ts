import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connectionFolder, engineAddress, hostName, sshAddress } from "../../configs/host/address";
import { misplaced, type Owner, ownerFile, type Place } from "../../configs/host/owner";
import { UserError } from "../process";
import { onConnection, type StackHost } from "../ssh/connection";

/** Milliseconds for an answer of the engine. */
const ANSWER_MS = 30_000;

/**
 * Refuses a stack that would take over what is another's, or that was moved without a word. Like `connectHost` it waits
 * without giving the event loop back. A host whose engine does not answer is nobody's.
 *
 * @param hostId the engine that the stack's file remembers
 * @throws UserError that says whose it is
 */
export function checkPlace(at: StackHost, owner: Owner | undefined, hostId: string | undefined): void {
  const { dataDir, docker } = at.host;
  const wrong = misplaced(lookAt(at), { owner, dataDir, hostId, host: hostName(docker) });
  if (wrong) throw new UserError(wrong.what, wrong.fix);
}

/** Id of the engine of a host behind SSH; undefined for one of this machine, which nobody points elsewhere by mistake. */
export function remoteEngineId(at: StackHost): string | undefined {
  if (!sshAddress(at.host.docker)) return undefined;
  return dockerSays(at, ["info", "--format", "{{.ID}}"]) || undefined;
}

function lookAt(at: StackHost): Place {
  const sources = dockerSays(at, [
    "inspect",
    "--format",
    '{{range .Mounts}}{{if eq .Type "bind"}}{{println .Source}}{{end}}{{end}}',
    `gpubox-${at.stack}-edge`,
  ]);
  // The edge's own files: the other mounts may be a certificate of somebody else.
  const edge = sources.split("\n").find((path) => /\/edge(\/|$)/.test(path));
  const other = edge?.replace(/\/edge(\/.*)?$/, "");
  return {
    owner: readOnHost(at, ownerFile(at.host.dataDir)),
    engineId: remoteEngineId(at),
    ...(other !== undefined && other !== at.host.dataDir ? { otherDataDir: other } : {}),
  };
}

function dockerSays(at: StackHost, args: string[]): string {
  const said = spawnSync("docker", ["-H", engineAddress(at), ...args], {
    encoding: "utf8",
    timeout: ANSWER_MS,
  });
  return said.status === 0 ? said.stdout.trim() : "";
}

function readOnHost({ stack, host }: StackHost, path: string): string | undefined {
  if (sshAddress(host.docker)) {
    const read = onConnection(connectionFolder(stack), 'cat "$1"', [path]);
    return read.code === 0 ? read.stdout : undefined;
  }
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
