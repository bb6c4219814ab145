import { z } from "zod";
import type { ModelLock } from "../models/facts";

/** The stack file of another box, as far as anybody may read it: its secrets are names. */
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

/** What the boxes of a config are looked up in. */
export interface Surroundings {
  /** Every stack file that a box leads to. */
  boxFiles: BoxFiles;
  /** What is known of the models' files and shapes. */
  lock?: ModelLock;
}

const named = z.record(z.string(), z.looseObject({ stack: z.string().optional() }).catch({}));

/** Stacks whose models a config serves, as its `boxes` name them. What is no box there, `parseStack` reports. */
export function stacksNamed(values: Record<string, unknown>): string[] {
  const boxes = named.safeParse(values.boxes ?? {});
  return Object.entries(boxes.data ?? {}).map(([name, { stack }]) => stack ?? name);
}
