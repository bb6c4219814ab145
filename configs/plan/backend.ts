import { placementOf } from "../capacity/placement";
import type { BackendPlan, DeviceNeed, ReplacementChoice } from "../kit/types";
import { canarySeconds } from "../schema/canary";
import { backendName } from "../stack/instances";
import { planBeside, standInOf } from "./beside";
import type { BackendSpec, PlanContext } from "./context";
import { schedulerTarget } from "./groups";
import { planServer } from "./server";
import { holdSeconds, planValve } from "./valve";

/**
 * A model server on this host and the valve in front of it.
 *
 * @param deadlineSeconds time until it must be healthy when all backends start at once, its wait for the device included
 * @param choice how it is replaced
 */
export function planBackend(
  context: PlanContext,
  backend: BackendSpec,
  deadlineSeconds: number,
  { kind, why }: ReplacementChoice,
): BackendPlan {
  const isBeside = kind === "start-first";
  const service = planServer(context, backend, deadlineSeconds);
  const standIn = isBeside ? standInOf(service.container.name) : undefined;
  return {
    model: backend.model,
    instance: backend.instance,
    start: backend.start,
    ...(backend.group === undefined ? {} : { group: backend.group }),
    service: {
      ...service,
      ...(standIn && {
        standIn: {
          name: standIn,
          drainSeconds: context.config.gateway.drainTimeout,
          ...(backend.canary && { canarySeconds: canarySeconds(backend.canary) }),
        },
      }),
    },
    replacement: isBeside ? { kind, why, beside: planBeside(context, backend, service) } : { kind, why },
    valve: planValve(
      context,
      backend,
      backend.group === undefined
        ? {
            standIn,
            canary: backend.canary !== undefined,
            name: backendName(backend.instance),
            port: backend.engine.port,
            healthPath: backend.engine.healthPath,
            healthText: backend.engine.healthText,
          }
        : schedulerTarget(backend.group, backend.instance),
    ),
    holdSeconds: holdSeconds(backend),
    needs: needsOf(context, backend.instance),
    weights: backend.engine.weights ?? [],
  };
}

/** Its planned share of each of its devices. */
export function needsOf({ gpus }: PlanContext, instance: string): DeviceNeed[] | undefined {
  const placement = placementOf(gpus, instance);
  return placement?.devices.map((device) => ({
    device: String(device),
    mib: Math.ceil(placement.shareBytes / 1024 ** 2),
  }));
}
