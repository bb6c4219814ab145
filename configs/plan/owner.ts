import { z } from "zod";
import { rootScript } from "../kit/hostFiles";
import type { Failure } from "../kit/problems";
import type { OwnerPlan } from "../kit/types";
import { saltFingerprint } from "../secrets/facts";

/** Whose a data directory is: the stack's name, and its salt key's fingerprint, which two checkouts of one stack share. */
const ownerSchema = z.object({ stack: z.string(), identity: z.string() });

export type Owner = z.infer<typeof ownerSchema>;

/** What was seen of a host before anything starts. */
export interface Place {
  /** What lies in `ownerFile` there; undefined where nothing does. */
  owner?: string;
  /** Why nobody can say whether something lies there. */
  unreadable?: string;
  /** Directory that a running box of this name has its files below, where it is another one than the config's. */
  otherDataDir?: string;
  /** The stack leads to a host behind SSH, and its box runs on this machine. */
  runsHere?: boolean;
  /** Id of the engine there. */
  engineId?: string;
}

/** Path on the host of the file that says whose a data directory is. */
export function ownerFile(dataDir: string): string {
  return `${dataDir}/.gpubox-stack`;
}

/** The owner of a box; undefined without a salt key, where nothing tells two checkouts apart. */
export function ownerOf(stack: string, fingerprint: string): Owner | undefined {
  return fingerprint === saltFingerprint("") ? undefined : { stack, identity: fingerprint };
}

/** The step that says on the host whose its data directory is, and the one that takes it back. */
export function planOwner(image: string, dataDir: string, owner: Owner | undefined): OwnerPlan | undefined {
  if (!owner) return undefined;
  const path = ownerFile(dataDir);
  const words = [path, JSON.stringify(owner)];
  const write = 'printf "%s\\n" "$2" > "$1.new" && chmod 0644 "$1.new" && mv -f "$1.new" "$1"';
  // Another stack may have taken the directory over since.
  const remove = 'if [ "$(cat "$1" 2>/dev/null)" = "$2" ]; then rm -f "$1"; fi';
  return {
    ...owner,
    name: "owner",
    script: rootScript(image, dataDir, write, words),
    remove: rootScript(image, dataDir, remove, words),
  };
}

/**
 * Why a stack must not be used at a place: it is another stack's, or the stack lives elsewhere. Undefined where it may.
 *
 * @param hostId the engine that the stack's file remembers
 */
export function misplaced(
  place: Place,
  own: { owner: Owner | undefined; dataDir: string; host: string; hostId: string | undefined },
): Failure | undefined {
  const { owner, dataDir, host, hostId } = own;
  const takeOver = "to make it this one's all the same: `gpubox up --take-over`";
  if (hostId !== undefined && place.engineId !== undefined && hostId !== place.engineId)
    return {
      what: `This stack's box is on another Docker engine than the one that answers at ${host}.`,
      fix: `Correct gpubox:host.docker. If the box is to move, take it down at its old address first (\`gpubox down\`); ${takeOver}.`,
    };
  if (place.runsHere)
    return {
      what: `This stack's box runs on this machine, and gpubox:host.docker leads to ${host}.`,
      fix: `Take it down here first (write the old gpubox:host.docker back, then \`gpubox down\`); ${takeOver}.`,
    };
  if (place.unreadable !== undefined && owner)
    return {
      what: `Nobody can say whose ${dataDir} on ${host} is: ${place.unreadable}.`,
      fix: `Let the user that gpubox is there look into it: \`sudo chmod o+x ${dataDir}\`.`,
    };
  const found = parseOwner(place.owner);
  if (place.owner !== undefined && !found && owner)
    return {
      what: `${ownerFile(dataDir)} on ${host} says nobody's name: it was cut or written by hand.`,
      fix: `Look at ${dataDir} there; ${takeOver}.`,
    };
  if (found && owner && found.stack !== owner.stack)
    return {
      what: `${dataDir} on ${host} belongs to the stack ${found.stack}.`,
      fix: `Give this stack a gpubox:host.dataDir and ports of its own, or take that one down; ${takeOver}.`,
    };
  if (found && owner && found.identity !== owner.identity)
    return {
      what: `${dataDir} on ${host} belongs to a stack ${found.stack} of another checkout, with another salt key.`,
      fix: `Use that checkout's Pulumi.${found.stack}.yaml and secrets, or another name for this stack and a gpubox:host.dataDir of its own; ${takeOver}.`,
    };
  // With a file of its own there, the move was meant.
  if (place.otherDataDir && owner && !found)
    return {
      what: `A box named ${owner.stack} runs on ${host} already, with its files in ${place.otherDataDir}.`,
      fix: `Give this stack another name, or write gpubox:host.dataDir: ${place.otherDataDir} if it is that box; ${takeOver}.`,
    };
  return undefined;
}

function parseOwner(text: string | undefined): Owner | undefined {
  try {
    return ownerSchema.safeParse(JSON.parse(text ?? "")).data;
  } catch {
    return undefined;
  }
}
