import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ConfigError } from "../../configs/kit/problems";
import { lossesOf, newLosses } from "../../configs/plan/changeNotices";
import { judgedForCluster } from "../../configs/plan/kubernetes/target";
import { idleWaivers } from "../../configs/policy/judge";
import { UserError } from "../../platform/process";
import { loadAssets } from "../../platform/stack/assets";
import { expectedResolved, recordedResolved, repositoryResolved } from "../../platform/stack/resolved";
import { unfinishedUp, unfinishedWords } from "../../platform/stack/unfinished";
import { readYaml } from "../../platform/userFiles";
import { checkoutBase, hadStack } from "./base";
import { compare } from "./compare";
import type { Identity } from "./containers";
import { openRecord, realIdentity } from "./record";
import { type PlannedSide, planSide } from "./side";
import { gpuStrangers } from "./strangers";
import type { Preview, Side } from "./types";

/** One of the two boxes, with notes for the reader. */
interface Before {
  side?: Side;
  /** What the preview compares with, in words. */
  base: string;
  identity?: Identity;
  notes: string[];
}

/**
 * Compares the working tree's box with the last `up` from here. With `ref` it compares with the merge base, from the
 * repository alone, independent of this machine.
 *
 * @throws ConfigError for mistakes in the working tree's config, including refusals by policies
 */
export async function previewStack(projectDir: string, stack: string, ref?: string): Promise<Preview> {
  const assets = loadAssets();
  const resolved = ref ? repositoryResolved(projectDir) : expectedResolved(projectDir, stack);
  const after = planSide(projectDir, stack, { resolved, assets });
  const isOnCluster = after.config.target === "kubernetes";
  const losses = isOnCluster ? judgedForCluster(after.config, after.plan) : [];
  const before = ref ? await fromGit(projectDir, stack, ref) : await fromRecord(projectDir, stack, after);
  const unfinished = ref ? undefined : unfinishedUp(projectDir, stack);
  return {
    stack,
    base: before.base,
    ...(unfinished ? { unfinished: true } : {}),
    ...compare(before.side, after, before.identity),
    policy: after.plan.policy,
    notes: [
      ...(unfinished ? [unfinishedWords(unfinished)] : []),
      ...before.notes,
      ...notesOf(after),
      ...newLosses(before.side && lossesOf(before.side.plan), losses).map((loss) => `On a cluster: ${loss}`),
      ...(ref || isOnCluster ? [] : await gpuStrangers(projectDir, after)),
    ],
  };
}

async function fromGit(projectDir: string, stack: string, ref: string): Promise<Before> {
  const { folder, commit, remove } = await checkoutBase(projectDir, ref);
  try {
    const base = `${commit.slice(0, 12)}, where this branch left ${ref}`;
    const limit =
      "This gpubox plans both sides: a change of its own code shows only in the files that it brings.";
    if (!hadStack(folder, stack))
      return { base, notes: [`Pulumi.${stack}.yaml is not in git there: everything is new.`] };
    // The files that the base used from the host. For those that it did not have yet, the present ones.
    const assets = {
      ...loadAssets(),
      ...(existsSync(join(folder, "assets")) ? loadAssets(folder) : {}),
    };
    const made = attempt(() => planSide(folder, stack, { resolved: repositoryResolved(folder), assets }));
    const notes = [...rewrapped(folder, projectDir, stack), ...made.notes, limit];
    return { base, side: made.side, notes };
  } finally {
    remove();
  }
}

async function fromRecord(projectDir: string, stack: string, after: PlannedSide): Promise<Before> {
  const record = openRecord(projectDir, stack);
  if (!record)
    return {
      base: "nothing",
      notes: [
        "No `up` from this folder is recorded, so everything appears as new. Use --base to compare with a commit.",
      ],
    };
  try {
    const base = `generation ${record.generation}, which \`up\` recorded here at ${record.at.toISOString()}`;
    const resolved = recordedResolved(projectDir, record.resolved);
    const made = attempt(() => planSide(record.folder, stack, { resolved, assets: loadAssets() }));
    const { identity, reason } = made.side ? await realIdentity(projectDir, stack, after) : {};
    const unread = reason
      ? [
          `The stack's secrets cannot be read here (${reason}), so a change of gpubox's own code does not show.`,
        ]
      : [];
    return {
      base,
      side: made.side,
      identity,
      notes: [...rewrapped(record.folder, projectDir, stack), ...made.notes, ...unread],
    };
  } finally {
    record.remove();
  }
}

/** Even if this gpubox cannot plan the base, the preview shows the result of the change. */
function attempt(plan: () => Side): { side?: Side; notes: string[] } {
  try {
    return { side: plan(), notes: [] };
  } catch (error) {
    const first = error instanceof ConfigError ? error.problems[0]?.path : undefined;
    if (!first && !(error instanceof UserError)) throw error;
    const why = error instanceof UserError ? error.what : `there is a mistake at ${first}`;
    return {
      notes: [`The other side cannot be planned (${why}), so everything appears as new.`],
    };
  }
}

const wrapped = z.object({ encryptionsalt: z.string().optional() });

/** Another passphrase changes every secret's encrypted text, whatever its value. */
function rewrapped(before: string, after: string, stack: string): string[] {
  const salt = (folder: string) =>
    wrapped.safeParse(readYaml(join(folder, `Pulumi.${stack}.yaml`))).data?.encryptionsalt;
  const [old, now] = [salt(before), salt(after)];
  return old !== undefined && now !== undefined && old !== now
    ? ["The stack has another passphrase, so every secret counts as set anew."]
    : [];
}

function notesOf({ plan, config, unset }: PlannedSide): string[] {
  return [
    ...plan.notes,
    ...(unset.length > 0
      ? [
          `Not set in the stack's file, but \`up\` needs them: ${unset.map((name) => `gpubox:${name}`).join(", ")}.`,
        ]
      : []),
    ...idleWaivers(plan.policy, config.policy).map(
      (name) => `gpubox:policy.waive.${name} waives nothing any more: remove it.`,
    ),
  ];
}
