import { engineOf, type ModelConfig } from "../engines";
import { type Problem, suggestion } from "../kit/problems";
import type { StackConfig } from "../stack/config";
import { groupOf } from "../stack/instances";

/** Keys that only a model of a group has. */
const OF_A_GROUP = ["priority", "pinned", "sleep", "waitSeconds"] as const;

/** Mistakes in the groups of models that are loaded on demand. */
export function checkGroups({ groups, models, gateway }: StackConfig): Problem[] {
  const named = new Set(Object.entries(models).flatMap(([name, model]) => groupOf(name, model) ?? []));
  return [
    ...Object.entries(models).flatMap(([name, model]) => [
      ...checkEntry(name, model),
      ...checkWait(name, model, gateway.routing.timeoutSeconds),
    ]),
    ...Object.keys(groups)
      .filter((group) => !named.has(group))
      .map((group) => ({
        path: `gpubox:groups.${group}`,
        what: "No model is in that group.",
        fix:
          named.size > 0 ? suggestion(group, [...named]) : "Write start: ondemand and group in its models.",
      })),
  ];
}

/** The answer that says how long it will take has to come before the gateway gives up. */
function checkWait(name: string, model: ModelConfig, byDefault: number): Problem[] {
  const { waitSeconds } = model as { waitSeconds?: number };
  const timeout = model.timeoutSeconds ?? byDefault;
  if (waitSeconds === undefined || waitSeconds < timeout) return [];
  return [
    {
      path: `gpubox:models.${name}.waitSeconds`,
      what: `The gateway gives up on a request after ${timeout} s, before it has waited that long.`,
      fix: `Write less than ${timeout}, or raise timeoutSeconds.`,
    },
  ];
}

function checkEntry(name: string, model: ModelConfig): Problem[] {
  const path = `gpubox:models.${name}`;
  const given = model as unknown as Record<string, unknown>;
  const inGroup = groupOf(name, model) !== undefined;
  const problems: Problem[] = [];
  if (given.sleep !== undefined && !engineOf(model).sleeps)
    return [
      {
        path: `${path}.sleep`,
        what: `engine: ${model.engine} has no sleep from which gpubox can wake it; vLLM on GPUs of NVIDIA and AMD has.`,
        fix: "Remove sleep: after idleSeconds it is unloaded, and the next request loads it again.",
      },
    ];
  if (model.start !== "ondemand")
    problems.push(
      ...(["group", ...OF_A_GROUP] as const)
        .filter((key) => given[key] !== undefined)
        .map((key) => ({
          path: `${path}.${key}`,
          what: `It means nothing with start: ${model.start}.`,
          fix: "Write start: ondemand, or remove it.",
        })),
    );
  else if (!inGroup)
    problems.push(
      ...OF_A_GROUP.filter((key) => given[key] !== undefined).map((key) => ({
        path: `${path}.${key}`,
        what: "It means nothing in a slot.",
        fix: "Write group in place of slot, or remove it.",
      })),
    );
  if (inGroup && given.sleep !== undefined && given.pinned)
    problems.push({
      path: `${path}.sleep`,
      what: "A pinned model is always loaded, and never sleeps.",
      fix: "Remove pinned or sleep.",
    });
  if ("slot" in model && model.slot && model.group)
    problems.push({
      path: `${path}.slot`,
      what: "A model is in a slot or in a group.",
      fix: "Remove one: in a slot one model is loaded at a time, in a group as many as fit.",
    });
  if (inGroup && model.instances)
    problems.push({
      path: `${path}.instances`,
      what: "A model that is loaded on demand has one server.",
      fix: "Remove it, or write start: auto.",
    });
  return problems;
}
