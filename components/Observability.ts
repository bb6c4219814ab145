import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SecretValues } from "../configs/kit/text";
import type { ObservabilityPlan } from "../configs/kit/types";
import type { Host } from "./Host";
import { Monitor } from "./Service";

export interface ObservabilityArgs {
  host: Host;
  plan: ObservabilityPlan;
  secrets: pulumi.Output<SecretValues>;
  /** What has to serve first, so that a monitor that does not start delays nobody's change. */
  after: pulumi.Resource;
}

/** Prometheus, Alertmanager, exporters and Grafana, and the time of the last change as a metric. */
export class Observability extends pulumi.ComponentResource {
  constructor(name: string, args: ObservabilityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Observability", name, {}, opts);
    const { host, plan, secrets, after } = args;
    const services = plan.services.map(
      (service) =>
        new Monitor(
          `${name}-${service.container.name}`,
          { host, plan: service, secrets, after: [after] },
          { parent: this },
        ),
    );
    if (plan.change)
      new local.Command(
        `${name}-${plan.change.name}`,
        { create: plan.change.script, environment: host.environment, addPreviousOutputInEnv: false },
        { parent: this, dependsOn: [after, ...services.map(({ files }) => files)] },
      );
    this.registerOutputs({});
  }
}
