import { z } from "zod";
import type { ModelLock } from "../models/facts";

/** The readable part of another box's stack file: its secrets appear by name only. */
export type BoxFile =
  | {
      /** Plain values, keys of the namespace without prefix. */
      values: Record<string, unknown>;
      /** Names of what is encrypted in it. */
      secrets: string[];
    }
  | {
      /** Why it cannot be read, and what to do about it. */
      unreadable: { what: string; fix: string };
    };

/** Stack to its file. */
export type BoxFiles = Record<string, BoxFile>;

/** The stack files and locks in which a config's boxes are looked up. */
export interface Surroundings {
  /** Every stack file that a box leads to. */
  boxFiles: BoxFiles;
  /** What is known of the models' files and shapes. */
  lock?: ModelLock;
}

const named = z.record(z.string(), z.looseObject({ stack: z.string().optional() }).catch({}));

const spanning = z.record(
  z.string(),
  z.object({ nodes: z.object({ workers: z.array(z.object({ stack: z.string() })) }) }).catch({
    nodes: { workers: [] },
  }),
);

/**
 * Stacks that a config names: its `boxes`, the hosts that its models span, and those whose models it joins. `parseStack` reports
 * entries that are not valid.
 */
export function stacksNamed({ boxes, joins, models }: Record<string, unknown>): string[] {
  const served = Object.entries(named.safeParse(boxes ?? {}).data ?? {});
  const joined = Object.values(named.safeParse(joins ?? {}).data ?? {});
  const spanned = Object.values(spanning.safeParse(models ?? {}).data ?? {});
  return [
    ...served.map(([name, { stack }]) => stack ?? name),
    ...joined.flatMap(({ stack }) => stack ?? []),
    ...spanned.flatMap(({ nodes }) => nodes.workers.map(({ stack }) => stack)),
  ];
}
