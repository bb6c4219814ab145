import type { WorkerPlan } from "../kit/types";
import { modelSlug } from "../stack/instances";
import type { BackendSpec, PlanContext } from "./context";
import { planModel, planServer } from "./model";
import { workerGate } from "./ranks";

/** A model of another stack of which this host has a rank, as a backend without clients. */
export function workerSpec(context: PlanContext, name: string): BackendSpec {
  return planModel(context, name, context.config.workers[name]!.model).backends[0]!;
}

/**
 * Its container: no valve, no route, no port, and no network but the one between the hosts.
 *
 * @param deadlineSeconds time until it must be up when everything on its devices starts at once
 */
export function planWorker(context: PlanContext, spec: BackendSpec, deadlineSeconds: number): WorkerPlan {
  const { stack, rank } = context.config.workers[spec.model]!;
  const { valves: _, ...own } = planServer(context, spec, deadlineSeconds, workerName(spec.model));
  return {
    model: spec.model,
    stack,
    rank,
    service: { ...own, gate: workerGate(stack) },
    weights: spec.engine.weights ?? [],
  };
}

/** Logical name of the container of a rank other than 0. */
function workerName(model: string): string {
  return `worker-${modelSlug(model)}`;
}
