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

/** Stacks that a config's `boxes` name. `parseStack` reports entries that are not valid boxes. */
export function stacksNamed(values: Record<string, unknown>): string[] {
  const boxes = named.safeParse(values.boxes ?? {});
  return Object.entries(boxes.data ?? {}).map(([name, { stack }]) => stack ?? name);
}
