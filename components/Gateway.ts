import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { StepPlan } from "../configs/kit/containerPlan";
import { DRAIN, limited, PROVE, SWITCH } from "../configs/kit/steps";
import { renderText, type SecretValues } from "../configs/kit/text";
import type { GatewayPlan } from "../configs/kit/types";
import type { Host } from "./Host";
import { HostFiles } from "./HostFiles";
import { containerArgs, type Edge } from "./Service";

export interface GatewayArgs {
  host: Host;
  plan: GatewayPlan;
  secrets: pulumi.Output<SecretValues>;
  edge: Edge;
  /** What has to be up before a gateway may start: Redis and Postgres. */
  startsAfter: pulumi.Resource[];
  /** The containers that a gateway routes to, which have to outlive it. Replacing them does not replace it. */
  routesTo: pulumi.Resource[];
  /** What has to be up before a gateway can be proven: the backends. */
  provenAfter: pulumi.Resource[];
}

/**
 * LiteLLM as an immutable generation. A change makes a new container next to the old one, proves it, switches the edge
 * to it, and only then drains and removes the old one. When a step fails, the old one keeps serving, and the next `up`
 * tries again.
 */
export class Gateway extends pulumi.ComponentResource {
  /** Opens when the edge sends requests to this generation. The old one may still drain. */
  readonly switched: pulumi.Resource;

  constructor(name: string, args: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Gateway", name, {}, opts);
    const { host, plan } = args;
    const files = new HostFiles(
      `${name}-files`,
      { host, directory: plan.directory, writable: plan.writable, secrets: args.secrets, immutable: true },
      { parent: this },
    );
    const before = this.before(name, args, files);
    const replicas = Array.from({ length: plan.replicas }, (_, index) =>
      this.replica(index === 0 ? name : `${name}-${index + 1}`, args, [files, ...before]),
    );
    const gateways = pulumi
      .all(replicas.map(({ container }) => container.name))
      .apply((names) => names.join(" "));
    const ids = replicas.map(({ container }) => container.id);
    const environment = { ...host.environment, GPUBOX_EDGE: args.edge.container.name };
    this.switched = new local.Command(
      `${name}-switch`,
      {
        create: SWITCH,
        stdin: `${plan.description}\n`,
        environment: { ...environment, GPUBOX_GATEWAYS: gateways },
        triggers: ids,
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: replicas.map(({ proof }) => proof) },
    );
    new local.Command(
      `${name}-drain`,
      {
        create: DRAIN,
        environment: { ...environment, GPUBOX_GATEWAYS: gateways, GPUBOX_SECONDS: String(plan.drainSeconds) },
        triggers: ids,
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [this.switched], customTimeouts: { create: `${plan.drainSeconds + 120}s` } },
    );
    if (plan.access) this.access(name, args, replicas[0]?.container, this.switched);
    this.registerOutputs({});
  }

  /** Backup and migration, in this order, each only when the gateway's image changes. */
  private before(name: string, { host, plan, secrets, startsAfter }: GatewayArgs, files: HostFiles) {
    const steps: local.Command[] = [];
    for (const step of plan.before)
      steps.push(
        new local.Command(
          `${name}-${step.name}`,
          {
            create: step.script,
            // The script names the generation's directory, which changes each time: that alone is no reason to run
            // again.
            update: "true",
            stdin: stdinOf(step, secrets),
            environment: host.environment,
            triggers: step.triggers,
            addPreviousOutputInEnv: false,
          },
          { parent: this, dependsOn: [files, ...startsAfter, ...host.needs(plan.container), ...steps] },
        ),
      );
    return steps;
  }

  /** Last, through the serving gateway: without this step the box would serve, but not everybody. */
  private access(
    name: string,
    { host, plan, secrets }: GatewayArgs,
    container: docker.Container | undefined,
    switched: pulumi.Resource,
  ) {
    if (!plan.access || !container) return;
    new local.Command(
      `${name}-${plan.access.name}`,
      {
        create: plan.access.script,
        stdin: stdinOf(plan.access, secrets),
        environment: { ...host.environment, GPUBOX_CONTAINER: container.name },
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [switched] },
    );
  }

  /** One container of the generation, and its proof. */
  private replica(name: string, args: GatewayArgs, after: pulumi.Resource[]) {
    const { host, plan, edge } = args;
    // Without a fixed name the provider gives each copy a new name: old and new containers coexist, and leftovers of a
    // failed run block no later one.
    const container = new docker.Container(name, containerArgs(plan.container, host.networkNames), {
      parent: this,
      provider: host.provider,
      deleteBeforeReplace: false,
      dependsOn: [...after, ...args.startsAfter, ...args.routesTo, ...host.needs(plan.container)],
      customTimeouts: { delete: `${plan.container.stopGraceSeconds + 60}s` },
    });
    const proof = new local.Command(
      `${name}-proof`,
      {
        create: limited(PROVE),
        environment: {
          ...host.environment,
          GPUBOX_CONTAINER: container.name,
          GPUBOX_EDGE: edge.container.name,
          GPUBOX_PROCESSES: String(plan.container.pidsLimit),
          GPUBOX_SECONDS: String(plan.container.readySeconds),
        },
        triggers: [container.id],
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [...args.provenAfter, edge.ready] },
    );
    return { container, proof };
  }
}

/** A step's input with its secrets filled in; the whole text is secret. */
function stdinOf(
  { stdin }: StepPlan,
  secrets: pulumi.Output<SecretValues>,
): pulumi.Output<string> | undefined {
  return stdin && pulumi.secret(secrets.apply((values) => renderText(stdin, values)));
}
