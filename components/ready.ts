import { local } from "@pulumi/command";
import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { AWAIT_HEALTHY, AWAIT_HEALTHY_AND_RELOAD } from "../configs/plan/steps";
import type { ServicePlan } from "../configs/plan/types";
import type { Host } from "./Host";

/**
 * A gate that opens when a container is healthy and has taken its present files. A command that failed is not recorded, so the gate is tried again at the
 * next `up`; the provider's own \`wait\` forgets its failure.
 */
export function ready(
  name: string,
  host: Host,
  { container: plan, directory, reloads }: ServicePlan,
  container: docker.Container,
  opts: pulumi.CustomResourceOptions,
): local.Command {
  return new local.Command(
    name,
    {
      create: reloads ? AWAIT_HEALTHY_AND_RELOAD : AWAIT_HEALTHY,
      environment: {
        ...host.environment,
        GPUBOX_CONTAINER: container.id,
        GPUBOX_NAME: plan.name,
        GPUBOX_SECONDS: String(plan.readySeconds),
      },
      triggers: reloads ? [container.id, directory.hash] : [container.id],
      addPreviousOutputInEnv: false,
    },
    { ...opts, customTimeouts: { create: `${plan.readySeconds + 60}s` } },
  );
}
