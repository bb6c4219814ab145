import { deviceShortage, type RunningModel } from "../capacity/shortage";
import { ConfigError, type Problem } from "../kit/problems";
import { gibibytes, MIB } from "../kit/sizes";
import type { DeviceNeed, ReplacementChoice, SlotPlan } from "../kit/types";
import type { BackendSpec, PlanContext } from "./context";
import { needsOf } from "./model";

/**
 * How each backend is replaced, by instance: start-first where its devices hold a second copy beside everything else. A model on
 * the CPU has to say so itself, because no plan knows the host's free memory.
 *
 * @throws ConfigError where an entry asks for a second copy that has no room
 */
export function replacementsOf(
  context: PlanContext,
  backends: BackendSpec[],
  slots: SlotPlan[],
  devices: DeviceNeed[],
): Record<string, ReplacementChoice> {
  const all: Occupant[] = [
    ...backends
      // A group's memory is not among `devices`, and its models have no say in it.
      .filter(({ slot, group }) => !slot && !group)
      .map(({ instance, engine }) => ({
        model: instance,
        devices: engine.gpu?.ids ?? [],
        needs: needsOf(context, instance) ?? [],
      })),
    ...slots.map(({ name, needs = [], service }) => ({
      model: `the slot ${name}`,
      devices: service.container.gpu?.ids ?? [],
      needs,
    })),
  ];
  // One change of the config may replace them all, and each stand-in stays until its server is back.
  const copies: Occupant[] = [];
  const choices = backends.map((backend) => {
    const choice = choiceOf(context, backend, [...all, ...copies], devices);
    const { instance, engine } = backend;
    if (choice.kind === "start-first" && engine.gpu)
      copies.push({
        model: `a second ${instance}`,
        devices: engine.gpu.ids,
        needs: needsOf(context, instance) ?? [],
      });
    return [backend, choice] as const;
  });
  const problems = choices.flatMap(([{ model, replacement, canary }, { kind, why }]): Problem[] => {
    const path = `gpubox:models.${model}`;
    const fix =
      "Give it less memory or another device, or remove the key: it is then replaced stop-first, with the gap that the preview names.";
    if (kind === "start-first") return [];
    if (replacement === "start-first")
      return [{ path: `${path}.replacement`, what: `It cannot be replaced start-first: ${why}.`, fix }];
    if (canary)
      return [
        {
          path: `${path}.canary`,
          what: `A canary serves beside the server before, and it is replaced stop-first: ${why}.`,
          fix: replacement === "stop-first" ? "Remove `replacement` or `canary`." : fix,
        },
      ];
    return [];
  });
  if (problems.length > 0) throw new ConfigError(context.config.stack, problems);
  return Object.fromEntries(choices.map(([{ instance }, choice]) => [instance, choice]));
}

/** What runs on devices; `needs` is empty where the planner does not know them. */
interface Occupant extends RunningModel {
  devices: string[];
}

function choiceOf(
  context: PlanContext,
  { instance, engine, start, siblings, slot, group, ranks, ...wanted }: BackendSpec,
  all: Occupant[],
  devices: DeviceNeed[],
): ReplacementChoice {
  // A canary is such a wish too.
  const replacement = wanted.replacement ?? (wanted.canary && "start-first");
  const stopFirst = (why: string): ReplacementChoice => ({ kind: "stop-first", why });
  if (slot ?? group) return stopFirst("a request loads it");
  if (ranks) return stopFirst("its ranks on all hosts go and come together");
  if (start === "manual") return stopFirst("people start and stop it");
  if (replacement === "stop-first") return stopFirst("its entry says so");
  if (siblings && !replacement) return stopFirst("another instance takes its requests");
  if (!engine.gpu)
    return replacement
      ? { kind: "start-first", why: "its entry says so" }
      : stopFirst("it runs on the CPU, and no plan knows the host's free memory (replacement: start-first)");
  const own = engine.gpu.ids;
  const beside = all.filter((other) => other.devices.some((id) => own.includes(id)));
  const unknown = beside.find(({ needs }) => needs.length === 0);
  if (unknown) return stopFirst(`the planner does not know the memory of ${unknown.model}`);
  const needs = needsOf(context, instance) ?? [];
  const missing = deviceShortage(needs, all, devices);
  return missing
    ? stopFirst(`device ${missing.device} lacks ${gibibytes(missing.missingMib * MIB)} for a second copy`)
    : { kind: "start-first", why: "its devices have room for a second copy" };
}
