import { ConfigError, type Problem } from "../../configs/kit/problems";
import { parseStack, type RawStack } from "../../configs/parse";
import { secretFacts, standIn } from "../../configs/secrets/facts";
import { generatedSecrets, type StackConfig } from "../../configs/stack/config";
import type { Draft, Entry } from "./draft";
import { below, isBelow, Ledger, type Step } from "./ledger";

/** Rounds after which what is left contradicts itself. Each takes at least one key away. */
const MOST_ROUNDS = 500;

/**
 * Takes away what gpubox refuses, key by key, until the draft is a stack config without mistakes. The ledger has the
 * reason of each.
 *
 * @returns the parsed config
 */
export function settle(draft: Draft, ledgers: Ledger[], stack: string): StackConfig {
  const reasons = new Map<string, string>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    try {
      return parseStack(rawOf(draft, stack));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // Later ones may follow from the first.
      const [problem] = error.problems;
      const taken = problem && takeAway(draft, problem, Object.keys(draft.models));
      if (!problem || taken === undefined) throw error;
      const why = firstReason(reasons, problem.path, taken) ?? draft.masked(reasonOf(problem));
      reasons.set(taken, why);
      Ledger.refuse(ledgers, taken, why);
      const [, list, place] = /^(.*)\[(\d+)\]$/.exec(taken) ?? [];
      if (list !== undefined) for (const ledger of ledgers) ledger.moveUp(list, Number(place));
      for (const key of draft.remarks.keys()) if (isBelow(key, taken)) draft.remarks.delete(key);
      if (draft.models[modelIn(taken) ?? ""] === undefined)
        for (const route of draft.routes) if (`gpubox:models.${route.name}` === taken) route.lost = why;
    }
  }
  throw new Error("the draft does not settle");
}

/** Where a key is missing because it was refused, or an entry goes for want of its address, the reason is that refusal's. */
function firstReason(reasons: Map<string, string>, path: string, taken: string): string | undefined {
  const address = [".apiBase", ".baseUrl", ".model"].map((key) => reasons.get(taken + key)).find(Boolean);
  return reasons.get(path) ?? address;
}

/** The flag of `extraArgs` that a problem is about: it names it, or its place. `path`: below the entry's. */
function flagOf(entry: Entry, path: string, what: string): string | undefined {
  if (path === ".extraArgs") return /^"(-[^"]+)"/.exec(what)?.[1];
  const [, place] = /^\.extraArgs\[(\d+)\]$/.exec(path) ?? [];
  const words = (entry.extraArgs ?? []) as string[];
  const flags =
    place === undefined ? [] : words.slice(0, Number(place) + 1).filter((word) => word.startsWith("-"));
  return flags.at(-1)?.split("=")[0];
}

/** Takes a flag with its values out of an entry's `extraArgs`. */
function withoutFlag(entry: Entry, flag: string): boolean {
  const words = entry.extraArgs as string[];
  const at = words.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
  if (at < 0) return false;
  const next = words.slice(at + 1).findIndex((word) => word.startsWith("-"));
  words.splice(at, next < 0 ? words.length : next + 1);
  if (words.length === 0) delete entry.extraArgs;
  return true;
}

/** The draft as a stack file has it. Secrets count as set: they are asked for, or made, later. */
export function rawOf(draft: Draft, stack: string): RawStack {
  const names = [...generatedSecrets, ...draft.secrets.keys()];
  const standIns = Object.fromEntries(names.map((name) => [name, standIn(name)]));
  return {
    stack,
    values: { ...draft.sections, models: draft.models },
    secrets: secretFacts(standIns, () => true),
  };
}

function reasonOf({ what, fix }: Problem): string {
  return `gpubox refuses it: ${what} ${fix}`;
}

function modelIn(path: string): string | undefined {
  return /^gpubox:models\.(.+)$/.exec(path)?.[1];
}

/**
 * Removes the key of a problem from the draft; the whole entry where the problem is about that or about a key that is not there.
 *
 * @returns the path that is gone; undefined when nothing of the draft is meant
 */
function takeAway(draft: Draft, { path, what }: Problem, models: string[]): string | undefined {
  const model = models
    .filter((name) => path === `gpubox:models.${name}` || /^[.[]/.test(path.slice(14 + name.length)))
    .filter((name) => path.startsWith(`gpubox:models.${name}`))
    .sort((a, b) => b.length - a.length)[0];
  if (model !== undefined) {
    const root = `gpubox:models.${model}`;
    const flag = flagOf(draft.models[model]!, path.slice(root.length), what);
    if (flag !== undefined && withoutFlag(draft.models[model]!, flag)) return `${root}.extraArgs.${flag}`;
    const taken =
      path === `${root}.engine` ? undefined : nearest(draft.models[model]!, path.slice(root.length));
    if (taken !== undefined) return root + taken;
    delete draft.models[model];
    return root;
  }
  const [root = "", section] = /^gpubox:(\w+)/.exec(path) ?? [];
  if (section === undefined || draft.sections[section] === undefined) return undefined;
  const taken = nearest(draft.sections[section], path.slice(root.length));
  if (taken === undefined) delete draft.sections[section];
  return root + (taken ?? "");
}

/** Removes a key, or for one that is missing the nearest map around it. @returns the path of what is gone */
function nearest(value: Record<string, unknown>, path: string): string | undefined {
  const steps = stepsOf(path);
  while (steps.length > 0 && !remove(value, steps)) steps.pop();
  if (steps.length === 0) return undefined;
  // Maps and lists that are empty now go too.
  while (steps.length > 1 && Object.keys(at(value, steps.slice(0, -1)) as object).length === 0) {
    steps.pop();
    remove(value, steps);
  }
  return below("", steps);
}

/** Removes what lies below a value. @returns false where there is no such thing */
function remove(value: unknown, steps: Step[]): boolean {
  const step = steps.at(-1)!;
  const parent = at(value, steps.slice(0, -1));
  if (typeof parent !== "object" || parent === null || !(step in parent)) return false;
  if (Array.isArray(parent)) parent.splice(Number(step), 1);
  else delete (parent as Record<Step, unknown>)[step];
  return true;
}

function at(value: unknown, steps: Step[]): unknown {
  return steps.reduce((inner, step) => (inner as Record<Step, unknown> | undefined)?.[step], value);
}

/** `.a.b[0]` as steps. Names with dots are found by {@link takeAway} or not at all. */
function stepsOf(path: string): Step[] {
  return [...path.matchAll(/\.([^.[\]]+)|\[(\d+)\]/g)].map(([, key, place]) => key ?? Number(place));
}
