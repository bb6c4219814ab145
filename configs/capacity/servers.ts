import type { ServicePlan } from "../kit/containerPlan";
import type { BoxPlan, DeviceNeed } from "../kit/types";

/** A container that serves models: one instance of one, or a slot. */
export interface ModelContainer {
  /** What people call it: `qwen3`, `qwen3-1`, `the slot big`. */
  title: string;
  /** Names that lead to it: its models' public names, and the instance's own. */
  names: string[];
  service: ServicePlan;
  valves: ServicePlan[];
  /** Memory that it takes on each of its devices, where the planner knows it. */
  needs?: DeviceNeed[];
  /** True where a request loads the model, and not the start of the container. */
  onDemand: boolean;
  /** True where it serves all of its models, and stops with all of them. */
  shared: boolean;
}

/** Every container of a box that serves models. */
export function serversOf({ backends, slots }: BoxPlan): ModelContainer[] {
  return [
    ...backends.map(({ model, instance, service, valve, needs, group }) => ({
      title: instance,
      names: [...new Set([instance, model])],
      service,
      valves: [valve],
      // Its group keeps the memory, whether it is loaded or not.
      needs: group === undefined ? needs : undefined,
      onDemand: group !== undefined,
      shared: false,
    })),
    ...slots.map(({ name, members, service, needs }) => ({
      title: `the slot ${name}`,
      names: members.map(({ model }) => model),
      service,
      valves: members.map(({ valve }) => valve),
      needs,
      onDemand: true,
      shared: true,
    })),
  ];
}
