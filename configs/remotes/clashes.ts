import type { Problem } from "../kit/problems";
import { stableJson } from "../kit/text";
import type { Borrowed } from "./entry";

export interface Clashes {
  problems: Problem[];
  /** Names and aliases of boxes' models that the problems are about. */
  refused: Set<string>;
}

/** Names that would lead to two models, and boxes that disagree about a model of the same name. */
export function nameClashes(own: unknown, borrowed: ReadonlyMap<string, Borrowed[]>): Clashes {
  const taken = ownNames(own);
  const problems: Problem[] = [];
  const refused = new Set<string>();
  for (const [name, models] of borrowed) {
    const owner = taken.get(name);
    if (owner) {
      problems.push(...models.map(({ box }) => nameTaken(box, name, owner)));
      refused.add(name);
      continue;
    }
    taken.set(name, `${name} of the box ${models[0]!.box}`);
    problems.push(...disagreements(name, models));
  }
  for (const [name, models] of borrowed) {
    const seen = new Set<string>();
    for (const { box, served } of models)
      for (const alias of served.aliases) {
        if (seen.has(alias)) continue;
        seen.add(alias);
        const owner = taken.get(alias);
        if (owner) {
          refused.add(alias);
          problems.push({
            path: `gpubox:boxes.${box}`,
            what: `"${alias}", an alias of its model ${name}, is taken by ${owner}.`,
            fix: "Write aliases: false here, or rename one of them; each name leads to one model.",
          });
        } else taken.set(alias, `${name} of the box ${box}`);
      }
  }
  return { problems, refused };
}

/** Names and aliases of the stack's own entries to where they stand. */
function ownNames(own: unknown): Map<string, string> {
  const taken = new Map<string, string>();
  if (typeof own !== "object" || own === null || Array.isArray(own)) return taken;
  for (const [name, entry] of Object.entries(own)) {
    taken.set(name, `gpubox:models.${name}`);
    const aliases = (entry as { aliases?: unknown } | null)?.aliases;
    for (const alias of Array.isArray(aliases) ? aliases : [])
      if (typeof alias === "string") taken.set(alias, `gpubox:models.${name}`);
  }
  return taken;
}

function nameTaken(box: string, name: string, owner: string): Problem {
  return {
    path: `gpubox:boxes.${box}`,
    what: `Its model "${name}" has a name that is taken by ${owner}.`,
    fix: "Rename one of them, or write here which of its models to serve: models: [ … ].",
  };
}

/** Servers behind one name must look the same to clients and cost the same. */
function disagreements(name: string, [first, ...others]: Borrowed[]): Problem[] {
  const say = ({ served: { mode, price, baseModel } }: Borrowed) => ({ mode, price, baseModel });
  return others.flatMap((other) =>
    (["mode", "price", "baseModel"] as const)
      .filter((key) => stableJson({ v: say(first!)[key] }) !== stableJson({ v: say(other)[key] }))
      .map((key) => ({
        path: `gpubox:boxes.${other.box}`,
        what: `Its model "${name}" has another ${key} than that of the box ${first!.box}, and both would be behind one name.`,
        fix: "Make them the same in the two files, rename one, or write here which of its models to serve: models: [ … ].",
      })),
  );
}
