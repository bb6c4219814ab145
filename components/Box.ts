import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SecretValues } from "../configs/plan/text";
import type { BoxPlan } from "../configs/plan/types";
import { Backend } from "./Backend";
import { Edge } from "./Edge";
import { Gateway } from "./Gateway";
import { Host } from "./Host";
import { Cache, Certificates, Database } from "./Service";

export interface BoxArgs {
  plan: BoxPlan;
  /** Secret values by name; they go into files on the host and nowhere else. */
  secrets: pulumi.Output<SecretValues>;
}

/** A whole model server on one host, as planned. */
export class Box extends pulumi.ComponentResource {
  /** Base URL for clients, without `/v1`. */
  readonly endpoint: pulumi.Output<string>;

  constructor(name: string, { plan, secrets }: BoxArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Box", name, {}, opts);
    const within = { parent: this };
    const host = new Host(`${name}-host`, plan, within);
    const stores = [
      plan.cache && new Cache(`${name}-cache`, { host, plan: plan.cache, secrets }, within),
      plan.database && new Database(`${name}-database`, { host, plan: plan.database, secrets }, within),
    ].filter((store) => store !== undefined);
    const weights = new Map<string, local.Command>();
    const locks = plan.deviceLocks && [
      new local.Command(
        `${name}-${plan.deviceLocks.name}`,
        { create: plan.deviceLocks.script, environment: host.environment, addPreviousOutputInEnv: false },
        { parent: host },
      ),
    ];
    const backends = plan.backends.map(
      (backend) =>
        new Backend(
          `${name}-${backend.service.container.name}`,
          { host, plan: backend, secrets, weights, after: locks },
          within,
        ),
    );
    const certificates = (after: pulumi.Resource[]) =>
      plan.certificates &&
      new Certificates(`${name}-certificates`, { host, plan: plan.certificates, secrets, after }, within);
    // A certificate that cannot be had must not cost the edge that runs.
    const first = plan.certificates?.order === "before-edge" ? certificates([]) : undefined;
    const edge = new Edge(
      `${name}-edge`,
      { host, plan: plan.edge, secrets, after: first && [first.ready] },
      within,
    );
    if (plan.certificates?.order === "after-edge") certificates([edge.ready]);
    new Gateway(
      `${name}-gateway`,
      {
        host,
        plan: plan.gateway,
        secrets,
        edge,
        startsAfter: stores.map((store) => store.ready),
        routesTo: backends.flatMap((backend) => backend.containers),
        provenAfter: backends.flatMap((backend) => backend.ready),
      },
      within,
    );
    this.endpoint = pulumi.output(plan.endpoint);
    this.registerOutputs({ endpoint: this.endpoint });
  }
}
