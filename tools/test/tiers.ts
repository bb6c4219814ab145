/** Memory of a lane whose file has a box up, with Pulumi and the tests themselves. */
const LANE_GIB = 4;

export const TIERS = ["fast", "all", "soak"] as const;

export type Tier = (typeof TIERS)[number];

/** A run of Jest: its projects, and how many files at once. */
export interface Stage {
  projects: string[];
  lanes: number;
}

export interface Machine {
  cores: number;
  /** Memory that is available now. */
  gib: number;
}

/** How many test files with a box of their own run at once: one more than the cores, because a file often waits. */
export function lanesOf({ cores, gib }: Machine): number {
  const byCores = Math.min(cores, 5) + 1;
  return Math.max(1, Math.min(byCores, Math.floor(gib / LANE_GIB)));
}

/** The stages of a tier, one after another. `lanes` is what the caller asks for in place of the default. */
export function stagesOf(tier: Tier, machine: Machine, lanes = lanesOf(machine)): Stage[] {
  const quick = { projects: ["unit", "component", "contract"], lanes: Math.max(1, machine.cores) };
  if (tier === "fast") return [quick];
  if (tier === "soak")
    return [
      { ...quick, projects: ["unit", "contract"] },
      { projects: ["soak"], lanes: 1 },
    ];
  return [quick, { projects: ["e2e"], lanes }, { projects: ["alone"], lanes: 1 }];
}
