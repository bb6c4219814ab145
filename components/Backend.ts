import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { renderText, type SecretValues } from "../configs/kit/text";
import type { ServicePlan, StepPlan } from "../configs/kit/types";
import type { Host } from "./Host";
import { Server, Valve } from "./Service";

/** Long enough for the largest models on a slow line. The download itself gives up when no more data arrives. */
const DOWNLOAD_LIMIT = "24h";

/** The plan's values for a model's part of the box. */
export interface ServerPlan {
  valve: ServicePlan;
  /** Absent for a model in a slot. */
  service?: ServicePlan;
  weights: StepPlan[];
}

export interface BackendArgs {
  host: Host;
  plan: ServerPlan;
  secrets: pulumi.Output<SecretValues>;
  /** Steps that bring model files to the host, by name. */
  weights: Map<string, local.Command>;
  /** What has to be on the host before any backend starts. */
  after?: pulumi.Resource[];
}

/** A model on this host: the gateway's valve to it, its files, and its server unless a slot loads it. */
export class Backend extends pulumi.ComponentResource {
  /** Opens when the model is loaded and the valve passes requests. */
  readonly ready: pulumi.Resource[];
  /** Pulumi deletes gateways that route here before it deletes these. */
  readonly containers: pulumi.Resource[];
  /** Opens when the model's files are on the host. */
  readonly stored: pulumi.Resource[];

  constructor(name: string, args: BackendArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Backend", name, {}, opts);
    const { host, plan, secrets } = args;
    const valve = new Valve(`${name}-valve`, { host, plan: plan.valve, secrets }, { parent: this });
    this.stored = plan.weights.flatMap(({ name }) => args.weights.get(name) ?? []);
    const server =
      plan.service &&
      new Server(
        `${name}-server`,
        { host, plan: plan.service, secrets, after: [...this.stored, ...(args.after ?? [])] },
        { parent: this },
      );
    const services = server ? [valve, server] : [valve];
    this.ready = services.map(({ ready }) => ready);
    this.containers = services.map(({ container }) => container);
    this.registerOutputs({});
  }
}

/** The steps that bring model files to the host, by name: models that share a file share the step. */
export function weightSteps(
  host: Host,
  plans: StepPlan[],
  secrets: pulumi.Output<SecretValues>,
): Map<string, local.Command> {
  const distinct = new Map(plans.map((plan) => [plan.name, plan]));
  return new Map(
    [...distinct.values()].map(({ name, script, stdin }) => [
      name,
      new local.Command(
        name,
        {
          create: script,
          stdin: stdin && pulumi.secret(secrets.apply((values) => renderText(stdin, values))),
          environment: host.environment,
          addPreviousOutputInEnv: false,
        },
        {
          parent: host,
          dependsOn: [host.space],
          customTimeouts: { create: DOWNLOAD_LIMIT, update: DOWNLOAD_LIMIT },
        },
      ),
    ]),
  );
}
