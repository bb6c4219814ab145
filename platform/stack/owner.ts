import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { connectionFolder, dockerHostName, engineAddress } from "../../configs/network/engine";
import { misplaced, type Owner, ownerFile, type Place } from "../../configs/plan/owner";
import { sshAddress } from "../../configs/schema/address";
import { hostSchema } from "../../configs/schema/host";
import { dockerAt } from "../docker/client";
import { UserError } from "../process";
import { onConnection, type StackHost } from "../ssh/connection";

/** Timeout in milliseconds for the engine's answer. */
const ANSWER_MS = 30_000;

/**
 * Refuses a stack that would change another stack's box, or that now points to another host. Like `connectHost` it
 * blocks the event loop. A host whose engine does not answer counts as free.
 *
 * @param hostId the engine recorded in the stack's file
 * @throws UserError that names the owner
 */
export function checkPlace(at: StackHost, owner: Owner | undefined, hostId: string | undefined): void {
  const { dataDir, docker } = at.host;
  const wrong = misplaced(lookAt(at, owner, hostId), {
    owner,
    dataDir,
    hostId,
    host: dockerHostName(docker),
  });
  if (wrong) throw new UserError(wrong.what, wrong.fix);
}

/**
 * Id of the engine that runs a stack's box; undefined for this machine's engine, unless the stack was on another
 * before.
 *
 * @param hostId the engine recorded in the stack's file
 */
export function engineIdOf(at: StackHost, hostId: string | undefined): string | undefined {
  if (!sshAddress(at.host.docker) && hostId === undefined) return undefined;
  return dockerSays(engineAddress(at), ["info", "--format", "{{.ID}}"]) || undefined;
}

function lookAt(at: StackHost, owner: Owner | undefined, hostId: string | undefined): Place {
  const other = dataDirOf(engineAddress(at), at.stack);
  const moved = other !== undefined && other !== posix.normalize(at.host.dataDir);
  const away = sshAddress(at.host.docker) !== undefined;
  return {
    ...readOnHost(at, ownerFile(at.host.dataDir)),
    engineId: engineIdOf(at, hostId),
    runsHere: away && hostId === undefined && owner !== undefined && runsHere(owner),
    ...(moved ? { otherDataDir: other } : {}),
  };
}

/** The data directory of a stack's running box; undefined when no such box runs. */
function dataDirOf(engine: string, stack: string): string | undefined {
  const mounted = '{{range .Mounts}}{{if eq .Destination "/etc/gpubox"}}{{.Source}}{{end}}{{end}}';
  const files = dockerSays(engine, ["inspect", "--format", mounted, `gpubox-${stack}-edge`]);
  return files === "" ? undefined : posix.dirname(files);
}

/** Another checkout's box may have the same name, so the salt key's fingerprint must match too. */
function runsHere({ stack, identity }: Owner): boolean {
  const dataDir = dataDirOf(hostSchema.parse({}).docker, stack);
  const found = dataDir === undefined ? {} : readHere(ownerFile(dataDir));
  return found.owner?.trim() === JSON.stringify({ stack, identity });
}

function dockerSays(engine: string, args: string[]): string {
  const { code, stdout } = dockerAt(engine).runSync(args, ANSWER_MS);
  return code === 0 ? stdout.trim() : "";
}

function readOnHost({ stack, host }: StackHost, path: string): Pick<Place, "owner" | "unreadable"> {
  if (!sshAddress(host.docker)) return readHere(path);
  const read = onConnection(connectionFolder(stack), 'LC_ALL=C cat "$1"', [path]);
  if (read.code === 0) return { owner: read.stdout };
  const words = read.stderr.trim().split("\n").at(-1) ?? "";
  return /No such file|Not a directory/.test(words) ? {} : { unreadable: words };
}

function readHere(path: string): Pick<Place, "owner" | "unreadable"> {
  try {
    return { owner: readFileSync(path, "utf8") };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? {} : { unreadable: String(error) };
  }
}
