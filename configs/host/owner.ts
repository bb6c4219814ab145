import { z } from "zod";
import { onHost } from "../plan/hostFiles";
import type { OwnerPlan } from "../plan/types";
import { saltFingerprint } from "../secretFacts";
import type { Failure } from "./failures";

/** Whose a data directory is: the stack's name, and its salt key's fingerprint, which two checkouts of one stack share. */
const ownerSchema = z.object({ stack: z.string(), identity: z.string() });

export type Owner = z.infer<typeof ownerSchema>;

/** What was seen of a host before anything starts. */
export interface Place {
  /** What lies in `ownerFile` there; undefined where nothing does. */
  owner?: string;
  /** Directory that a running box of this name has its files below, where it is another one than the config's. */
  otherDataDir?: string;
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
  const write = 'printf "%s\\n" "$2" > "$1.new" && chmod 0644 "$1.new" && mv -f "$1.new" "$1"';
  return {
    ...owner,
    name: "owner",
    script: onHost(image, dataDir, write, [path, JSON.stringify(owner)]),
    remove: onHost(image, dataDir, 'rm -f "$1"', [path]),
  };
}

/**
 * Why a stack must not be brought up at a place: it is another stack's, or the stack lives elsewhere. Undefined where it may.
 *
 * @param hostId the engine that the stack's file remembers
 */
export function misplaced(
  place: Place,
  own: { owner: Owner | undefined; dataDir: string; host: string; hostId: string | undefined },
): Failure | undefined {
  const { owner, dataDir, host, hostId } = own;
  const takeOver = "to make it this one's all the same: `npm run up -- --take-over`";
  if (hostId !== undefined && place.engineId !== undefined && hostId !== place.engineId)
    return {
      what: `This stack's box is on another Docker engine than the one that answers at ${host}.`,
      fix: `Correct gpubox:host.docker. If the box is to move, take it down at its old address first (\`npm run down\`); ${takeOver}.`,
    };
  const found = parseOwner(place.owner);
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
  if (place.otherDataDir && owner)
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
