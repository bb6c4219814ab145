import { MIB } from "../../configs/kit/sizes";
import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import type { GpuConfig } from "../../configs/schema/gpu";
import type { StackConfig } from "../../configs/stack/config";
import { type ModelStatus, modelStatus } from "../models/status";
import type { GpuFigures } from "./gpuFigures";
import type { DiskFacts, HostContainer, StatusFacts } from "./statusFacts";

/** A GPU that is declared, there, or both. */
export interface GpuStatus extends Omit<GpuFigures, "vendor"> {
  vendor: GpuConfig["vendor"];
  /** False for one that no stack's file declares here. */
  declared: boolean;
  /** Whether its driver shows it; null where nobody can tell. */
  there: boolean | null;
  /** Its memory is the host's. */
  unified: boolean;
  /** Programs outside of the box's containers that use it. */
  others: { name: string; pid: number; usedBytes: number }[];
}

/** A model, with what its server takes. */
export interface HostModel extends Omit<ModelStatus, "listed" | "requestsPerMinute" | "requestsNow"> {
  /** Requests at work, and those that wait for its server; null outside this box's containers. */
  running: number | null;
  waiting: number | null;
  memory: { usedBytes: number; limitBytes: number | null } | null;
  /** Bytes on GPUs; null where no driver says. */
  gpuBytes: number | null;
}

/** A host at a glance; what `gpubox host status --json` prints. Times are ISO 8601. */
export interface HostStatus {
  stack: string;
  /** As a person writes it: `ops@gpu1.example`, `this machine`. */
  host: string;
  at: string;
  machine: Pick<StatusFacts, "name" | "system" | "cores" | "load" | "memory"> & { bootAt: string };
  docker: StatusFacts["docker"];
  gpus: GpuStatus[];
  gpusFailed: string | null;
  disks: DiskFacts[];
  models: HostModel[];
  /** Requests at work and waiting, of all models of this box. */
  queue: { running: number; waiting: number };
  parts: { role: string; name: string; state: string }[];
  /** The newest generation of the gateway; null where there is none. */
  lastChange: { generation: string; at: string; serves: boolean | null } | null;
}

/** Puts together what the host said and what is declared. */
export function hostStatus(config: StackConfig, box: BoxPlan, host: string, facts: StatusFacts): HostStatus {
  const { name, system, cores, load, memory, docker } = facts;
  const models = modelsOf(config, box, facts);
  const sum = (pick: (one: HostModel) => number | null) =>
    models.reduce((total, one) => total + (pick(one) ?? 0), 0);
  return {
    ...{ stack: box.stack, host, at: iso(facts.now) },
    machine: { name, system, cores, load, memory, bootAt: iso(facts.bootAt) },
    docker,
    gpus: gpusOf(config.host.gpus, facts),
    gpusFailed: facts.gpusFailed ?? null,
    disks: facts.disks,
    models,
    queue: { running: sum(({ running }) => running), waiting: sum(({ waiting }) => waiting) },
    parts: partsOf(box, facts),
    lastChange: lastChangeOf(facts),
  };
}

function gpusOf(
  declared: GpuConfig[],
  { gpus, gpusFailed, gpuProcesses, containers }: StatusFacts,
): GpuStatus[] {
  const own = new Set(containers.map(({ id }) => id));
  const found = gpus.map((gpu): GpuStatus => {
    const config = declared.find(
      ({ id, vendor }) => vendor === gpu.vendor && [gpu.index, gpu.uuid].includes(String(id)),
    );
    const others = gpuProcesses
      .filter((one) => one.gpu === gpu.uuid && !(one.container && own.has(one.container)))
      .map((one) => ({ name: one.name, pid: one.pid, usedBytes: one.usedMiB * MIB }));
    const unified = config?.unified ?? false;
    // What AMD's driver calls the memory of such a device is a part of it.
    const memory = unified ? null : gpu.memory;
    return { ...gpu, memory, declared: config !== undefined, there: true, unified, others };
  });
  const missing = declared.filter(({ id, vendor }) =>
    gpus.every((gpu) => gpu.vendor !== vendor || ![gpu.index, gpu.uuid].includes(String(id))),
  );
  const silent = { busyPercent: null, celsius: null, watts: null, wattsLimit: null, others: [] };
  return [
    ...found,
    ...missing.map(({ id, vendor, unified }) => {
      // No driver lists slices with their figures, nor Intel's devices.
      const unknown = String(id).startsWith("MIG-") || vendor === "intel" || gpusFailed !== undefined;
      const there = unknown ? null : false;
      return {
        vendor,
        index: String(id),
        uuid: null,
        name: "",
        memory: null,
        declared: true,
        there,
        unified,
        ...silent,
      };
    }),
  ];
}

function modelsOf(config: StackConfig, box: BoxPlan, facts: StatusFacts): HostModel[] {
  const { containers, valves, gpus } = facts;
  const seen = modelServers(box).flatMap(({ instance, valve }) => {
    const one = valves[valve.container.name];
    return one ? [[instance, one] as const] : [];
  });
  const known = { containers, valves: Object.fromEntries(seen), lastMinute: {} };
  return modelStatus(config, box, known).map(({ listed, requestsPerMinute, requestsNow, ...model }) => {
    const backend = modelServers(box).find(({ instance }) => instance === model.instance);
    const container = containers.find(({ role }) => role === backend?.service.container.name);
    const valve = known.valves[model.instance];
    const processes = facts.gpuProcesses.filter((one) => container && one.container === container.id);
    const state = "failed" in facts.docker && backend ? "not known" : model.state;
    return {
      ...model,
      state,
      running: valve?.running ?? null,
      waiting: valve?.held ?? null,
      memory: memoryOf(container),
      gpuBytes:
        container && gpus.some(({ vendor }) => vendor === "nvidia")
          ? processes.reduce((total, { usedMiB }) => total + usedMiB * MIB, 0)
          : null,
    };
  });
}

function memoryOf(container: HostContainer | undefined): HostModel["memory"] {
  if (container?.memoryBytes === undefined) return null;
  return { usedBytes: container.memoryBytes, limitBytes: container.limitBytes || null };
}

/** Everything but models' servers and their valves. */
function partsOf(box: BoxPlan, { containers, edge }: StatusFacts): HostStatus["parts"] {
  const models = new Set(
    modelServers(box).flatMap(({ service, valve }) => [service.container.name, valve.container.name]),
  );
  const others = containers.filter(({ role }) => !models.has(role));
  const order = (role: string) => ["edge", "gateway", "cache", "database"].indexOf(role) + 1 || 9;
  return others
    .sort((one, other) => order(one.role) - order(other.role) || one.name.localeCompare(other.name))
    .map(({ role, name, state, health }) => {
      const own = state === "running" ? (health ?? "runs") : state;
      const seen = edge?.gateways.find(({ gateway }) => gateway === name)?.state;
      return { role, name, state: role === "gateway" && own === "healthy" && seen ? seen : own };
    });
}

function lastChangeOf({ containers, edge }: StatusFacts): HostStatus["lastChange"] {
  const gateways = containers.filter(({ role, generation }) => role === "gateway" && generation);
  const [newest] = gateways.sort((one, other) => other.createdAt - one.createdAt);
  if (!newest?.generation) return null;
  const serves = edge?.generation === undefined ? null : edge.generation === newest.generation;
  return { generation: newest.generation, at: iso(newest.createdAt), serves };
}

function iso(seconds: number): string {
  return Number.isFinite(seconds) ? new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z") : "";
}
