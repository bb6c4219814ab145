import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";

/** Which clients depend on a part of the box. */
export interface Affected {
  /** Public names of models; empty when no particular model is affected. */
  models: string[];
  /** In words: `clients of tiny`, `all clients`, `nobody's requests`. */
  who: string;
}

export const everybody: Affected = { models: [], who: "all clients" };
export const nobody: Affected = { models: [], who: "nobody's requests" };

/** Which clients notice when a container, named by its role, is not as planned. */
export function affectedBy(box: BoxPlan, container: string): Affected {
  const models = modelServers(box)
    .filter(({ service, valve }) => [service, valve].some((one) => one.container.name === container))
    .map(({ model }) => model);
  if (models.length > 0) return clientsOf(models);
  const monitors = box.observability?.services ?? [];
  if (monitors.some((monitor) => monitor.container.name === container)) return nobody;
  return everybody;
}

export function clientsOf(models: string[]): Affected {
  const names = [...new Set(models)];
  return { models: names, who: `clients of ${names.join(", ")}` };
}
