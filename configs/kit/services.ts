import type { StepPlan } from "./containerPlan";
import type { BoxPlan, ModelServerPlan } from "./types";

/** The server of each model that the box runs. A slot appears once for each of its models. */
export function modelServers({ backends, slots }: Pick<BoxPlan, "backends" | "slots">): ModelServerPlan[] {
  const loaded = slots.flatMap(({ service, members }) =>
    members.map((member) => ({ ...member, instance: member.model, start: "ondemand" as const, service })),
  );
  return [...backends, ...loaded];
}

/** What brings the files of a box's models to its host. */
export function fetchSteps(plan: Pick<BoxPlan, "backends" | "slots" | "workers">): StepPlan[] {
  return [...modelServers(plan), ...plan.workers].flatMap(({ weights }) => weights);
}

/** Every container of a plan, in an order in which each comes after what it needs. */
export function servicesOf(plan: Omit<BoxPlan, "policy" | "space">) {
  const { certificates } = plan;
  return [
    ...(plan.cache ? [plan.cache] : []),
    ...(plan.database ? [plan.database] : []),
    ...plan.backends.flatMap((backend) => [backend.valve, backend.service]),
    ...plan.workers.map(({ service }) => service),
    ...plan.groups.map(({ service }) => service),
    ...plan.slots.flatMap(({ members, service }) => [...members.map(({ valve }) => valve), service]),
    ...(certificates?.order === "before-edge" ? [certificates] : []),
    plan.edge,
    ...(certificates?.order === "after-edge" ? [certificates] : []),
    plan.gateway,
    ...(plan.observability?.services ?? []),
  ];
}
