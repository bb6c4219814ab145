import type { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ContainerPlan, NetworkRole, ServicePlan, StepPlan } from "../configs/kit/containerPlan";
import { deviceRequest } from "../configs/kit/gpus";
import type { SecretValues } from "../configs/kit/text";
import { beside } from "./beside";
import type { Host, NetworkNames } from "./Host";
import { HostFiles } from "./HostFiles";
import { ready } from "./ready";

export interface ServiceArgs {
  host: Host;
  plan: ServicePlan;
  secrets: pulumi.Output<SecretValues>;
  /** What has to be done before the present container may stop for a new one. */
  after?: pulumi.Resource[];
  /** Brings a stand-in up before that. */
  beside?: StepPlan;
}

/** What a volume that is there already keeps, whoever made it. */
export const VOLUME_KEEPS = ["labels", "driver", "driverOpts"];

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
    const needs = [this.files, ...volume, ...host.needs(plan.container), ...(args.after ?? [])];
    const standIn = args.beside
      ? [beside(`${name}-beside`, args, args.beside, { parent: this, dependsOn: needs })]
      : [];
    this.container = new docker.Container(
      name,
      { name: `${host.prefix}-${plan.container.name}`, ...containerArgs(plan.container, host.networkNames) },
      {
        parent: this,
        provider: host.provider,
        deleteBeforeReplace: true,
        dependsOn: [...needs, ...standIn],
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
      {
        parent: this,
        provider: host.provider,
        // Data outlives the stack: `gpubox down` removes volumes only by name.
        retainOnDelete: true,
        // Compose labels a volume that it made, and a person may have made one on a disk of its own. Each of these would show
        // its replacement at every preview.
        ignoreChanges: VOLUME_KEEPS,
      },
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

/** A rank, other than 0, of a model server over several hosts. */
export class Worker extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Worker", name, args, opts);
  }
}

/** llama-swap: loads the model of its slot that a request asks for. */
export class Slot extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Slot", name, args, opts);
  }
}

/** HAProxy that loads the models of a group on demand, as far as their memory goes. */
export class Group extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Group", name, args, opts);
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

/**
 * The docker provider's arguments for a planned container. Every value has the form in which the engine returns it, so
 * that a refresh shows no false difference: sorted lists, `CAP_` prefixes, `memorySwap` always set.
 */
export function containerArgs(plan: ContainerPlan, networks: NetworkNames): docker.ContainerArgs {
  return {
    image: plan.image,
    entrypoints: plan.entrypoint,
    command: plan.command,
    user: plan.user,
    envs: Object.entries(plan.env)
      .map(([name, value]) => `${name}=${value}`)
      .sort(),
    labels: Object.entries(plan.labels).map(([label, value]) => ({ label, value })),
    networksAdvanced: Object.entries(plan.networks).map(([role, aliases = []]) => ({
      name: networks[role as NetworkRole]!,
      aliases,
      ...(plan.addresses?.[role as NetworkRole] ? { ipv4Address: plan.addresses[role as NetworkRole] } : {}),
    })),
    // Without any network, Docker would use its default bridge, which leads to the internet.
    networkMode: Object.keys(plan.networks).length === 0 ? "none" : undefined,
    hosts: plan.hostGateway ? [{ host: "host.docker.internal", ip: "host-gateway" }] : [],
    mounts: plan.mounts.map((mount) => ({
      type: mount.kind === "volume" ? "volume" : "bind",
      source: mount.source,
      target: mount.target,
      readOnly: mount.readOnly,
    })),
    tmpfs: plan.tmpfs,
    ports: plan.ports.map(({ bind, port, containerPort }) => ({
      ip: bind,
      external: port,
      internal: containerPort,
    })),
    memory: plan.memoryMiB,
    // Equal to `memory` means no swap. When it is missing, the engine doubles it and every refresh shows a difference.
    memorySwap: plan.memoryMiB,
    shmSize: plan.shmMiB,
    readOnly: plan.readOnly,
    init: plan.init,
    capabilities: { drops: ["ALL"], ...(plan.capAdd ? { adds: [...plan.capAdd].sort() } : {}) },
    securityOpts: ["no-new-privileges:true", ...(plan.securityOpts ?? [])].sort(),
    ...gpuArgs(plan),
    ulimits: plan.ulimits,
    ipcMode: plan.ipc,
    groupAdds: plan.groupAdd,
    healthcheck: {
      tests: plan.health.test,
      interval: goDuration(plan.health.intervalSeconds),
      timeout: goDuration(plan.health.timeoutSeconds),
      retries: plan.health.retries,
      startPeriod: goDuration(plan.health.startPeriodSeconds),
    },
    stopSignal: plan.stopSignal,
    stopTimeout: plan.stopGraceSeconds,
    // Without it the provider kills at once, whatever `stopTimeout` says.
    destroyGraceSeconds: plan.stopGraceSeconds,
    restart: "unless-stopped",
    logDriver: "json-file",
    logOpts: { "max-size": "20m", "max-file": "5" },
    start: plan.started,
    // A container that people start is accepted by a refresh whether it runs or not.
    mustRun: plan.started,
  };
}

/**
 * Never `gpus`, which accepts only one device and reads "0,1" as the first. AMD's GPUs are device files, because a
 * request cannot name their driver.
 */
function gpuArgs({ gpu, devices }: ContainerPlan): Pick<docker.ContainerArgs, "deviceRequests" | "devices"> {
  const request = deviceRequest(gpu);
  return {
    ...(request
      ? {
          deviceRequests: [
            {
              driver: request.driver,
              deviceIds: request.ids,
              // Docker itself keeps none of them for CDI, which would be a difference at each refresh.
              ...(request.driver === "nvidia" ? { capabilities: ["gpu"] } : {}),
            },
          ],
        }
      : {}),
    ...(devices
      ? { devices: devices.map((path) => ({ hostPath: path, containerPath: path, permissions: "rwm" })) }
      : {}),
  };
}

/** A duration as Go prints it, `2m0s`: the provider compares its input with the engine's value as text. */
export function goDuration(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const [hours, minutes] = parts as [number, number];
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
