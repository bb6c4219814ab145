import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ServicePlan, StepPlan } from "../configs/kit/containerPlan";
import { fetchSteps } from "../configs/kit/services";
import { renderText, type SecretValues } from "../configs/kit/text";
import type { BoxPlan, ReplacementPlan } from "../configs/kit/types";
import { backendName } from "../configs/stack/instances";
import { Gateway } from "./Gateway";
import { Host } from "./Host";
import { Observability } from "./Observability";
import { Cache, Certificates, Database, Edge, Group, Server, Slot, Valve, Worker } from "./Service";

/** Long enough for the largest models on a slow line. The download itself gives up when no more data arrives. */
const DOWNLOAD_LIMIT = "24h";

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
    const weights = weightSteps(host, fetchSteps(plan), secrets);
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
    const backend = (instance: string, plan: ServerPlan, before: pulumi.Resource[] = []) =>
      new Backend(
        `${name}-${backendName(instance)}`,
        { host, plan, secrets, weights, after: [...(locks ?? []), ...before] },
        within,
      );
    // Instances of one model one after another: each carries the load while another is replaced.
    const last = new Map<string, Backend>();
    const backends = plan.backends.map((one) => {
      const made = backend(one.instance, one, last.get(one.model)?.ready);
      last.set(one.model, made);
      return made;
    });
    for (const { service, weights: files } of plan.workers) {
      const stored = files.flatMap((file) => weights.get(file.name) ?? []);
      const after = [...stored, ...(locks ?? [])];
      new Worker(`${name}-${service.container.name}`, { host, plan: service, secrets, after }, within);
    }
    const slots = plan.slots.map(({ service, members }) => {
      // The same resource names for models with and without a slot: a model that changes its start keeps its valve.
      const models = members.map((member) => backend(member.model, member));
      const after = [...models.flatMap(({ stored, ready }) => [...stored, ...ready]), ...(locks ?? [])];
      const server = new Slot(
        `${name}-${service.container.name}`,
        { host, plan: service, secrets, after },
        within,
      );
      return { models, server };
    });
    // Their seats lie below their scheduler's directory, which is made first.
    const groups = plan.groups.map(
      ({ service }) =>
        new Group(`${name}-${service.container.name}`, { host, plan: service, secrets }, within),
    );
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
          ...groups.map(({ container }) => container),
        ],
        provenAfter: [
          ...reached.flatMap(({ ready }) => ready),
          ...slots.map(({ server }) => server.ready),
          ...groups.map(({ ready }) => ready),
        ],
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

/** The plan's values for a model's part of the box. */
interface ServerPlan {
  valve: ServicePlan;
  /** Absent for a model in a slot. */
  service?: ServicePlan;
  replacement?: ReplacementPlan;
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
        {
          host,
          plan: plan.service,
          secrets,
          // A reload of the valve would open it again.
          after: [valve.ready, ...this.stored, ...(args.after ?? [])],
          beside: plan.replacement?.kind === "start-first" ? plan.replacement.beside : undefined,
        },
        { parent: this },
      );
    const services = server ? [valve, server] : [valve];
    this.ready = services.map(({ ready }) => ready);
    this.containers = services.map(({ container }) => container);
    this.registerOutputs({});
  }
}

/** The steps that bring model files to the host, by name: models that share a file share the step. */
function weightSteps(
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
