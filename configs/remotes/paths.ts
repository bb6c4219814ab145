import type { Problem } from "../kit/problems";

/** Keys of an instance that stand in the box's entry under another name. */
const KEYS: Record<string, string> = { apiKey: ".key", baseUrl: ".url" };

/**
 * Moves a problem in an entry made from a box's model to the path where the user can correct it.
 *
 * @param origins model to the boxes that serve it
 * @param models names of all entries
 */
export function atItsBox(problem: Problem, origins: Record<string, string[]>, models: string[]): Problem {
  const name = models
    .filter((model) => isBelow(problem.path, `gpubox:models.${model}`))
    // A model's name may have dots.
    .sort((a, b) => b.length - a.length)[0];
  if (name === undefined || !Object.hasOwn(origins, name)) return problem;
  const rest = problem.path.slice(`gpubox:models.${name}`.length);
  const [, index = "0", key = ""] = /^\.instances\[(\d+)\](?:\.(\w+))?/.exec(rest) ?? [];
  const path = `gpubox:boxes.${origins[name]![Number(index)]}`;
  const own = KEYS[key];
  return own
    ? { ...problem, path: `${path}${own}` }
    : { ...problem, path, what: `Of its model ${name}: ${problem.what}` };
}

function isBelow(path: string, root: string): boolean {
  return path === root || (path.startsWith(root) && /^[.[ ]/.test(path.slice(root.length)));
}
