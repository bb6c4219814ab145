import { engineOf, type ModelConfig } from "../engines";
import type { Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";
import { instancesOf } from "../stack/instances";
import { isForMany } from "../stack/wildcards";

/** Mistakes of entries that open many models, and of models that stand for many under a name for one. */
export function checkWildcards({ models }: StackConfig): Problem[] {
  return Object.entries(models).flatMap(([name, model]) => {
    const path = `gpubox:models.${name}`;
    return isForMany(name) ? checkMany(model, path) : checkOne(name, model, path);
  });
}

function checkMany(model: ModelConfig, path: string): Problem[] {
  if (engineOf(model).container)
    return [
      {
        path,
        what: "A server of the box has one model, and cannot answer to every name.",
        fix: "Write a name of its own, and the names that clients use as `aliases`.",
      },
    ];
  const problems: Problem[] = [];
  if (model.aliases.length > 0)
    problems.push({
      path: `${path}.aliases`,
      what: "An alias leads to one model, and this entry is none.",
      fix: "Remove it, or declare that model as an entry of its own.",
    });
  for (const instance of instancesOf("m", model))
    if (/\*./.test(instance.model.model ?? ""))
      problems.push({
        path: `${path}${instance.path}.model`,
        what: "What a client writes in place of the * can only be the end of the provider's name.",
        fix: "Write one * and put it last, for example openai/*.",
      });
  return problems;
}

function checkOne(name: string, model: ModelConfig, path: string): Problem[] {
  // A * elsewhere in its name is told of already.
  if (engineOf(model).container || name.includes("*")) return [];
  return instancesOf(name, model)
    .filter((instance) => instance.model.model?.includes("*"))
    .map((instance) => ({
      path: `${path}${instance.path}.model`,
      what: `"${instance.model.model}" stands for many models, and "${name}" for one.`,
      fix: `Name the entry by what clients write before the model's name, for example "${name}/*".`,
    }));
}
