/** Memory of a lane whose file has a box up, with Pulumi and the tests themselves. */
const LANE_GIB = 4;

export const TIERS = ["fast", "all", "soak"] as const;

export type Tier = (typeof TIERS)[number];

/** A run of Jest: its projects, and how many files at once. */
export interface Stage {
  projects: string[];
  lanes: number;
  /** Its files bring up boxes. */
  boxes?: true;
}

export interface Machine {
  cores: number;
  /** Memory that is available now. */
  gib: number;
}

/**
 * How many test files with a box of their own run at once: as many as cores. One more would use time in which files wait, and on a
 * slow machine all of them would miss deadlines.
 */
export function lanesOf({ cores, gib }: Machine): number {
  return Math.max(1, Math.min(cores, 6, Math.floor(gib / LANE_GIB)));
}

/**
 * The stages of a tier, one after another. What computes has a lane for each core. Contract tests have twice as many: they wait for
 * servers and deadlines half of the time.
 * @param lanes of the files with boxes
 */
export function stagesOf(tier: Tier, machine: Machine, lanes = lanesOf(machine)): Stage[] {
  const cores = Math.max(1, machine.cores);
  const waiting: Stage = { projects: ["contract", "own-modules"], lanes: 2 * cores };
  if (tier === "soak")
    return [{ projects: ["unit"], lanes: cores }, waiting, { projects: ["soak"], lanes: 1, boxes: true }];
  const quick: Stage[] = [{ projects: ["unit", "component"], lanes: cores }, waiting];
  return tier === "fast" ? quick : [...quick, { projects: ["e2e"], lanes, boxes: true }];
}
