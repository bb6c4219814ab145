import type { ContainerPlan } from "../../configs/kit/containerPlan";
import { deviceRequest } from "../../configs/kit/gpus";
import { stableJson } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";

/** The settings of a container, in one form for planned and inspected ones. Lists without an order are sorted. */
export interface Settings {
  image: string;
  entrypoint: string[];
  command: string[];
  user: string;
  env: Record<string, string>;
  labels: Record<string, string>;
  /** The container's aliases by network. */
  networks: Record<string, string[]>;
  /** `/srv/a -> /etc/a, read-only`. */
  mounts: string[];
  tmpfs: Record<string, string>;
  /** `127.0.0.1:4000 -> 4000`. */
  ports: string[];
  hosts: string[];
  memoryMiB: number;
  memorySwapMiB: number;
  /** 0: the engine's default. */
  shmMiB: number;
  /** Most processes and threads; 0: no limit. */
  processes: number;
  /** Other limits on CPU and memory; `none` without any, as planned. */
  otherLimits: string;
  readOnly: boolean;
  init: boolean;
  privileged: boolean;
  capAdd: string[];
  capDrop: string[];
  securityOpts: string[];
  ulimits: string[];
  sharesHost: string[];
  groupAdd: string[];
  devices: string[];
  gpus: string[];
  health: string;
  stopSignal: string;
  stopGraceSeconds: number;
  restart: string;
  log: string;
}

/** The settings of a planned container, as the engine should report them. */
export function plannedSettings(plan: ContainerPlan, { networks }: BoxPlan): Settings {
  const nameOf = (role: string) => networks.find((network) => network.role === role)?.name ?? role;
  return {
    image: plan.image,
    entrypoint: plan.entrypoint,
    command: plan.command,
    user: plan.user,
    env: plan.env,
    labels: plan.labels,
    networks: Object.fromEntries(
      Object.entries(plan.networks).map(([role, aliases = []]) => [nameOf(role), [...aliases].sort()]),
    ),
    mounts: plan.mounts.map(({ source, target, readOnly }) => mountText(source, target, readOnly)).sort(),
    tmpfs: plan.tmpfs,
    ports: plan.ports.map(({ bind, port, containerPort }) => publishText(bind, port, containerPort)).sort(),
    hosts: plan.hostGateway ? ["host.docker.internal:host-gateway"] : [],
    memoryMiB: plan.memoryMiB,
    memorySwapMiB: plan.memoryMiB,
    shmMiB: plan.shmMiB ?? 0,
    processes: plan.pidsLimit,
    otherLimits: "none",
    readOnly: plan.readOnly,
    init: plan.init,
    privileged: false,
    capAdd: [...(plan.capAdd ?? [])].sort(),
    capDrop: ["ALL"],
    securityOpts: ["no-new-privileges:true", ...(plan.securityOpts ?? [])].sort(),
    ulimits: (plan.ulimits ?? []).map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).sort(),
    sharesHost: plan.ipc === "host" ? ["ipc"] : [],
    groupAdd: [...(plan.groupAdd ?? [])].sort(),
    devices: [...(plan.devices ?? [])].sort(),
    gpus: [...(deviceRequest(plan.gpu)?.ids ?? [])].sort(),
    health: healthText(plan.health.test, plan.health),
    stopSignal: plan.stopSignal ?? "",
    stopGraceSeconds: plan.stopGraceSeconds,
    restart: "unless-stopped",
    log: stableJson({ driver: "json-file", "max-size": "20m", "max-file": "5" }),
  };
}

export function mountText(source: string, target: string, readOnly: boolean): string {
  return `${source} -> ${target}, ${readOnly ? "read-only" : "writable"}`;
}

export function publishText(bind: string, port: number, containerPort: number): string {
  return `${bind}:${port} -> ${containerPort}`;
}

export function healthText(
  test: string[],
  health: { timeoutSeconds: number; retries: number; startPeriodSeconds: number },
): string {
  const { timeoutSeconds, retries, startPeriodSeconds } = health;
  return stableJson({ test, timeoutSeconds, retries, startPeriodSeconds });
}

/** Names of settings in a sentence, where they differ from their keys. */
const NAMES: Partial<Record<keyof Settings, string>> = {
  env: "environment",
  hosts: "host names",
  memoryMiB: "memory limit (MiB)",
  memorySwapMiB: "limit of memory and swap (MiB)",
  shmMiB: "shared memory (MiB)",
  processes: "limit of processes",
  otherLimits: "other limits",
  readOnly: "read-only root",
  capAdd: "added capabilities",
  capDrop: "dropped capabilities",
  securityOpts: "security options",
  sharesHost: "namespaces of the host",
  groupAdd: "further groups",
  gpus: "GPUs",
  health: "health check",
  stopSignal: "stop signal",
  stopGraceSeconds: "seconds to stop",
  restart: "restart policy",
};

/** How a container differs from its plan: a phrase for each setting. Values of environment variables never appear. */
export function settingDifferences(planned: Settings, found: Settings): string[] {
  return (Object.keys(planned) as (keyof Settings)[]).flatMap((key) => {
    if (stableJson(planned[key]) === stableJson(found[key]) || isEnginesOwn(key, planned, found)) return [];
    return [`${NAMES[key] ?? key}: ${phrase(key, planned[key], found[key])}`];
  });
}

/** Differences that come from the engine, its settings or an image, which a new container would have too. */
function isEnginesOwn(key: keyof Settings, planned: Settings, found: Settings): boolean {
  if (key === "stopSignal") return planned.stopSignal === "";
  if (key === "shmMiB") return planned.shmMiB === 0;
  if (key === "ulimits") return planned.ulimits.every((one) => found.ulimits.includes(one));
  // The kernel cannot limit swap.
  return key === "memorySwapMiB" && found.memorySwapMiB < 0;
}

function phrase(key: keyof Settings, planned: unknown, found: unknown): string {
  if (Array.isArray(planned) && key !== "entrypoint" && key !== "command") {
    const lacking = planned.filter((one) => !(found as string[]).includes(one));
    const extra = (found as string[]).filter((one) => !planned.includes(one));
    return parts(lacking, [], extra);
  }
  if (planned !== null && typeof planned === "object" && !Array.isArray(planned)) {
    const [should, is] = [planned as Record<string, unknown>, found as Record<string, unknown>];
    const lacking = Object.keys(should).filter((name) => !(name in is));
    const other = Object.keys(should).filter(
      (name) => name in is && stableJson(is[name]) !== stableJson(should[name]),
    );
    return parts(
      lacking,
      other,
      Object.keys(is).filter((name) => !(name in should)),
    );
  }
  if (key === "entrypoint" || key === "command" || key === "health") return "another one than planned";
  return `${text(found)} instead of ${text(planned)}`;
}

function parts(lacking: string[], other: string[], extra: string[]): string {
  return [
    ...(lacking.length > 0 ? [`lacks ${lacking.join("; ")}`] : []),
    ...(other.length > 0 ? [`another value of ${other.join("; ")}`] : []),
    ...(extra.length > 0 ? [`has also ${extra.join("; ")}`] : []),
  ].join(", ");
}

function text(value: unknown): string {
  return value === "" ? "nothing" : String(value);
}
