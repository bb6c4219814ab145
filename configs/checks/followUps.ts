import { z } from "zod";
import type { JudgedBy, Problem } from "../kit/problems";

/** What could not be read, because of a mistake that is reported by itself. */
export interface Unread {
  /** Paths of sections, or of keys and entries in them. */
  paths: string[];
  /** Names of the models whose entries could not be read. `all`: any name may be one. */
  models: string[] | "all";
}

/** Leaves out what only follows from something that could not be read: one mistake is one message. */
export function withoutFollowUps(problems: Problem[], unread: Unread): Problem[] {
  return problems.flatMap(({ judgedBy = {}, ...problem }) =>
    follows(problem.path, judgedBy, unread) ? [] : [problem],
  );
}

function follows(path: string, { model, paths = [] }: JudgedBy, unread: Unread): boolean {
  if (unread.paths.some((other) => isWithin(path, other))) return true;
  if (model !== undefined && isUnreadModel(model, unread)) return true;
  return paths.some((own) => unread.paths.some((other) => isWithin(own, other) || isWithin(other, own)));
}

/** True for a model of an entry that could not be read, and for any where a whole source of models could not. */
function isUnreadModel(name: string, { paths, models }: Unread): boolean {
  if (models === "all" || models.includes(name)) return true;
  return paths.some((path) => path === "gpubox:models" || isWithin(path, "gpubox:boxes"));
}

function isWithin(path: string, root: string): boolean {
  return path === root || (path.startsWith(root) && /^[.[]/.test(path.slice(root.length)));
}

/** Adds an entry that cannot be read any further, with every name that it gives to clients. */
export function addUnreadModel(unread: Unread, name: string, entry: unknown): void {
  unread.paths.push(`gpubox:models.${name}`);
  const raw = names.safeParse(entry);
  if (unread.models === "all" || !raw.success) unread.models = "all";
  else {
    const { aliases, loraModules, loraPaths } = raw.data;
    unread.models.push(name, ...aliases, ...Object.keys({ ...loraModules, ...loraPaths }));
  }
}

const adapters = z.record(z.string(), z.unknown()).default({});
const names = z.object({
  aliases: z.array(z.string()).default([]),
  loraModules: adapters,
  loraPaths: adapters,
});
