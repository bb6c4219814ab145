import type * as docker from "@pulumi/docker";
import type { ContainerPlan, NetworkRole } from "../configs/kit/types";

/** Name on the host of each network, by its role. */
export type NetworkNames = Record<NetworkRole, string>;

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
  return {
    ...(gpu?.vendor === "nvidia"
      ? { deviceRequests: [{ driver: "nvidia", deviceIds: gpu.ids, capabilities: ["gpu"] }] }
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
