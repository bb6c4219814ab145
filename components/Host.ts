import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerPlan, NetworkPlan, NetworkRole } from "../configs/kit/containerPlan";
import { servicesOf } from "../configs/kit/services";
import { hashOf, renderText } from "../configs/kit/text";
import type { BoxPlan, OwnerPlan, SpacePlan } from "../configs/kit/types";

/** Name on the host of each network, by its role. */
export type NetworkNames = Record<NetworkRole, string>;

/**
 * The machine that a box runs on: its Docker engine, the box's private networks, and the images on it. Foreign networks
 * are known by name.
 */
export class Host extends pulumi.ComponentResource {
  readonly provider: docker.Provider;
  readonly networkNames: NetworkNames;
  /** Where the steps' shell commands find the Docker engine. */
  readonly environment: Record<string, string>;
  readonly dataDir: string;
  /** Prefix of every name on the host. */
  readonly prefix: string;
  /** Image with a shell that writes files to the host. Every box has the edge's. */
  readonly toolsImage: string;
  /** Depend on this to run after the check of the host's disk space. */
  readonly space: local.Command;
  private readonly networks: Record<string, docker.Network>;
  private readonly firsts: pulumi.Resource[];
  private readonly images = new Map<string, docker.RemoteImage>();

  constructor(
    private readonly name: string,
    plan: BoxPlan,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("gpubox:index:Host", name, {}, opts);
    this.provider = new docker.Provider(`${name}-docker`, { host: plan.docker }, { parent: this });
    this.environment = { DOCKER_HOST: plan.docker };
    this.dataDir = plan.dataDir;
    this.prefix = plan.prefix;
    this.toolsImage = plan.edge.container.image;
    this.networkNames = Object.fromEntries(plan.networks.map((n) => [n.role, n.name])) as NetworkNames;
    this.networks = Object.fromEntries(
      plan.networks.filter(({ external }) => !external).map((n) => [n.role, this.network(n, plan.stack)]),
    );
    if (plan.owner) this.own(plan.owner, plan.edge.container);
    this.space = this.lookForSpace(plan.space, plan.edge.container);
    this.firsts = [this.space, ...servicesOf(plan).map(({ container }) => this.image(container))];
    this.registerOutputs({});
  }

  /** Records on the host who owns its data directory. The program has already checked that nobody else does. */
  private own({ script, remove }: OwnerPlan, tools: ContainerPlan): void {
    new local.Command(
      `${this.name}-owner`,
      {
        create: script,
        delete: remove,
        // A box that moves takes its file with it.
        triggers: [this.dataDir],
        environment: this.environment,
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [this.image(tools)], deleteBeforeReplace: true },
    );
  }

  /** A full disk fails this step instead of a later one, when a container may already be gone. */
  private lookForSpace({ script, stdin = [], before }: SpacePlan, tools: ContainerPlan): local.Command {
    return new local.Command(
      `${this.name}-space`,
      {
        create: script,
        stdin: renderText(stdin, {}),
        environment: { ...this.environment, GPUBOX_BEFORE: before },
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [this.image(tools)] },
    );
  }

  /**
   * What must be done before any container stops. A failing step makes Pulumi give up everywhere, even between the end
   * of a container and the start of its replacement.
   */
  comesFirst(steps: pulumi.Resource[]): void {
    this.firsts.push(...steps);
  }

  /** The resources that a container needs: everything that can fail without it, and its networks. */
  needs(container: ContainerPlan): pulumi.Resource[] {
    const networks = Object.keys(container.networks).map((role) => this.networks[role]);
    return [...this.firsts, ...networks.filter((network) => network !== undefined)];
  }

  private network(plan: NetworkPlan, stack: string): docker.Network {
    return new docker.Network(
      `${this.name}-network-${plan.role}`,
      {
        name: plan.name,
        internal: plan.internal,
        labels: [{ label: "gpubox.stack", value: stack }],
        options: plan.bridge ? { "com.docker.network.bridge.name": plan.bridge } : undefined,
      },
      // An existing network without the name keeps its own: replacing it would stop every container of the box.
      { parent: this, provider: this.provider, ignoreChanges: ["options"] },
    );
  }

  /** One image per role, and one for each that an entry names itself. It stays on the host when it is no longer used, so that a rollback needs no registry. */
  private image(container: ContainerPlan): docker.RemoteImage {
    const known = this.images.get(container.image);
    if (known) return known;
    const image = new docker.RemoteImage(
      `${this.name}-image-${container.ownImage ? hashOf(container.ownImage) : container.role}`,
      { name: container.image, keepLocally: true },
      { parent: this, provider: this.provider },
    );
    this.images.set(container.image, image);
    return image;
  }
}
