import { local } from "@pulumi/command";
import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import type { ServicePlan } from "../configs/kit/containerPlan";
import { CLOSE, drainSeconds, limited, OPEN, readyStep, valvesOf } from "../configs/kit/steps";
import { forgetStarted, restoreStarted } from "../configs/plan/manual";
import type { Host } from "./Host";

/**
 * A gate that opens when a container is healthy and has read its present files. A failed command is not recorded, so
 * the next `up` tries the gate again, while the provider's own `wait` forgets its failure. For a container that people
 * start it opens at once, unless somebody had started the one that this one replaces.
 */
export function ready(
  name: string,
  host: Host,
  service: ServicePlan,
  container: docker.Container,
  opts: pulumi.CustomResourceOptions,
): local.Command {
  const { container: plan, directory, reloads, gate } = service;
  if (!plan.started)
    new local.Command(
      `${name}-forget`,
      {
        create: ":",
        delete: forgetStarted(host.toolsImage, host.dataDir, plan.name),
        environment: host.environment,
        addPreviousOutputInEnv: false,
      },
      opts,
    );
  return new local.Command(
    name,
    {
      create: limited(
        plan.started ? readyStep(service) : `${OPEN}\n${restoreStarted(host.toolsImage, host.dataDir, plan)}`,
      ),
      // Pulumi undoes this before it stops the container, whatever the reason: a change, a removal, a repair, `down`.
      ...(service.valves ? { delete: CLOSE } : {}),
      environment: {
        ...host.environment,
        ...valvesOf(host.prefix, service),
        GPUBOX_CONTAINER: container.id,
        GPUBOX_NAME: plan.name,
        GPUBOX_PROCESSES: String(plan.pidsLimit),
        GPUBOX_SECONDS: String(plan.readySeconds),
      },
      triggers: reloads || gate ? [container.id, directory.hash] : [container.id],
      addPreviousOutputInEnv: false,
    },
    {
      ...opts,
      deleteBeforeReplace: service.valves !== undefined,
      customTimeouts: {
        create: `${plan.readySeconds + 120 + (service.standIn?.drainSeconds ?? 0)}s`,
        delete: `${drainSeconds(plan) + 120}s`,
      },
    },
  );
}
