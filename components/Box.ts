import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { modelServers } from "../configs/kit/services";
import type { SecretValues } from "../configs/kit/text";
import type { BoxPlan } from "../configs/kit/types";
import { backendName } from "../configs/plan/backend";
import { Backend, type ServerPlan, weightSteps } from "./Backend";
import { Gateway } from "./Gateway";
import { Host } from "./Host";
import { Observability } from "./Observability";
import { Cache, Certificates, Database, Edge, Slot } from "./Service";

export interface BoxArgs {
  plan: BoxPlan;
  /** Secret values by name. They go only into files on the host. */
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
    const downloads = modelServers(plan).flatMap(({ weights }) => weights);
    const weights = weightSteps(host, downloads, secrets);
    host.comesFirst([...weights.values()]);
    const stores = [
      plan.cache && new Cache(`${name}-cache`, { host, plan: plan.cache, secrets }, within),
      plan.database && new Database(`${name}-database`, { host, plan: plan.database, secrets }, within),
    ].filter((store) => store !== undefined);
    const locks = plan.deviceLocks && [
      new local.Command(
        `${name}-${plan.deviceLocks.name}`,
        { create: plan.deviceLocks.script, environment: host.environment, addPreviousOutputInEnv: false },
        { parent: host },
      ),
    ];
    const backend = (instance: string, plan: ServerPlan) =>
      new Backend(`${name}-${backendName(instance)}`, { host, plan, secrets, weights, after: locks }, within);
    const backends = plan.backends.map((one) => backend(one.instance, one));
    const slots = plan.slots.map(({ service, members }) => {
      // The same resource names for models with and without a slot: a model that changes its start keeps its valve.
      const models = members.map((member) => backend(member.model, member));
      const after = [...models.flatMap(({ stored }) => stored), ...(locks ?? [])];
      const server = new Slot(
        `${name}-${service.container.name}`,
        { host, plan: service, secrets, after },
        within,
      );
      return { models, server };
    });
    const reached = [...backends, ...slots.flatMap(({ models }) => models)];
    const certificates = (after: pulumi.Resource[]) =>
      plan.certificates &&
      new Certificates(`${name}-certificates`, { host, plan: plan.certificates, secrets, after }, within);
    // A certificate that cannot be obtained must not stop the running edge.
    const first = plan.certificates?.order === "before-edge" ? certificates([]) : undefined;
    const edge = new Edge(
      `${name}-edge`,
      { host, plan: plan.edge, secrets, after: first && [first.ready] },
      within,
    );
    if (plan.certificates?.order === "after-edge") certificates([edge.ready]);
    const gateway = new Gateway(
      `${name}-gateway`,
      {
        host,
        plan: plan.gateway,
        secrets,
        edge,
        startsAfter: stores.map((store) => store.ready),
        routesTo: [
          ...reached.flatMap(({ containers }) => containers),
          ...slots.map(({ server }) => server.container),
        ],
        provenAfter: [...reached.flatMap(({ ready }) => ready), ...slots.map(({ server }) => server.ready)],
      },
      within,
    );
    if (plan.observability)
      new Observability(
        `${name}-observability`,
        { host, plan: plan.observability, secrets, after: gateway.switched },
        within,
      );
    this.endpoint = pulumi.output(plan.endpoint);
    this.registerOutputs({ endpoint: this.endpoint });
  }
}
