import { nearest, type Problem } from "../kit/problems";

/** The texts of the user's own Python modules by name; undefined for one whose file could not be read. */
export type ModuleTexts = Record<string, string | undefined>;

/** A word like `audit.handler`: something that a module holds. */
const MEMBER = /^([A-Za-z_]\w*)\.([A-Za-z_]\w*)$/;

/** Names that stand at the beginning of a line of Python: what a module defines. */
const DEFINED = /^(?:async\s+def|def|class)?[ \t]*([A-Za-z_]\w*)\s*(?:[:=(]|$)/gm;

/**
 * Whether a setting names something that one of the modules holds. A look at the text and no more: the proof of a generation
 * shows whether Python can load it.
 *
 * @returns `held` if it does, also where the file could not be read, which is told already; what is wrong, if it does not; or
 * undefined where the value is no name of this kind
 */
export function memberProblem(
  value: unknown,
  modules: ModuleTexts,
): Pick<Problem, "what" | "fix" | "judgedBy"> | "held" | undefined {
  const [, module, member] = (typeof value === "string" && MEMBER.exec(value)) || [];
  if (module === undefined || member === undefined) return undefined;
  if (!Object.hasOwn(modules, module))
    return {
      what: `"${value}" is none of LiteLLM's own, and no file brings the module ${module}.`,
      fix: `If the code is yours, name its file: gpubox:gateway.modules: { ${module}: ./${module}.py }. Else remove it.`,
      judgedBy: { paths: ["gpubox:gateway.modules"] },
    };
  const text = modules[module];
  if (text === undefined || new RegExp(`\\b${member}\\b`).test(text)) return "held";
  const near = nearest(
    member,
    [...text.matchAll(DEFINED)].map(([, name]) => name!),
  );
  return {
    what: `The file of the module ${module} has no "${member}".`,
    fix: near ? `Did you mean "${module}.${near}"?` : "Name something that it defines.",
  };
}
