import type { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { SecretValues } from "../configs/kit/text";
import type { ServicePlan } from "../configs/kit/types";
import { containerArgs } from "./arguments";
import type { Host } from "./Host";
import { HostFiles } from "./HostFiles";
import { ready } from "./ready";

export interface ServiceArgs {
  host: Host;
  plan: ServicePlan;
  secrets: pulumi.Output<SecretValues>;
  /** What has to be done before the present container may stop for a new one. */
  after?: pulumi.Resource[];
}

/**
 * A stop-first container with its files, its volume and a gate that opens when it is healthy. Each kind of container is
 * a class below with its own type token: the token is part of every URN and never changes.
 */
export abstract class Service extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** Depend on this to come after the container's first healthy answer. */
  readonly ready: local.Command;
  readonly files: HostFiles;

  constructor(token: string, name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super(token, name, {}, opts);
    const { host, plan } = args;
    this.files = new HostFiles(
      `${name}-files`,
      { host, directory: plan.directory, writable: plan.writable, secrets: args.secrets },
      { parent: this },
    );
    const volume = plan.volume ? [this.volume(`${name}-volume`, plan.volume.name, host)] : [];
    this.container = new docker.Container(
      name,
      { name: `${host.prefix}-${plan.container.name}`, ...containerArgs(plan.container, host.networkNames) },
      {
        parent: this,
        provider: host.provider,
        deleteBeforeReplace: true,
        dependsOn: [this.files, ...volume, ...host.needs(plan.container), ...(args.after ?? [])],
        customTimeouts: { delete: `${plan.container.stopGraceSeconds + 60}s` },
      },
    );
    this.ready = ready(`${name}-ready`, host, plan, this.container, { parent: this });
    this.registerOutputs({});
  }

  private volume(name: string, volumeName: string, host: Host): docker.Volume {
    return new docker.Volume(
      name,
      { name: volumeName },
      // Data outlives the stack: `gpubox down` removes volumes only by name.
      { parent: this, provider: host.provider, retainOnDelete: true },
    );
  }
}

/**
 * HAProxy: owns the ports, sends traffic only to the proven gateway, and closes every route that is not for clients.
 */
export class Edge extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Edge", name, args, opts);
  }
}

/** Redis: the gateways' shared router state and cached answers. */
export class Cache extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Cache", name, args, opts);
  }
}

/** Postgres: virtual keys and spend. */
export class Database extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Database", name, args, opts);
  }
}

/** HAProxy in front of one backend: passes, holds or refuses its requests. */
export class Valve extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Valve", name, args, opts);
  }
}

/** A model server with one model. */
export class Server extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Server", name, args, opts);
  }
}

/** llama-swap: loads the model of its slot that a request asks for. */
export class Slot extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Slot", name, args, opts);
  }
}

/** Keeps the edge's certificate up to date. */
export class Certificates extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Certificates", name, args, opts);
  }
}

/** Prometheus, Alertmanager, an exporter, Grafana, or a part of Langfuse. */
export class Monitor extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Monitor", name, args, opts);
  }
}
