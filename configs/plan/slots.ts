import type { EngineContainer } from "../engines/engine";
import type { ServicePlan } from "../kit/containerPlan";
import { SERVER_PROCESSES } from "../kit/processes";
import { configFile, directory } from "../kit/text";
import type { DeviceNeed, SlotPlan } from "../kit/types";
import { slotPort } from "../stack/instances";
import { assetFiles, type BackendSpec, container, health, type PlanContext } from "./context";
import { type LockedEngine, takingTurns } from "./deviceLock";
import { DRAIN_SECONDS, llamaSwapCommand, llamaSwapFile, type OnDemandModel } from "./llamaSwap";
import { NOBODY, needsOf } from "./model";
import { distinctMounts } from "./ownContainer";
import { holdSeconds, planValve, valveName } from "./valve";

/** MiB that llama-swap itself may take beside the model that is loaded; it takes about 30. */
const LLAMA_SWAP_MIB = 256;

/** Seconds from its start until it answers. It loads nothing by itself. */
const READY_SECONDS = 60;

/** Seconds until it ends: 5 after its wait for running requests it gives up and exits. */
const STOP_SECONDS = DRAIN_SECONDS + 10;

const CONFIG_DIR = "/etc/gpubox";

/** The input for one slot: the models that it loads on demand. */
export interface SlotSpec {
  name: string;
  members: BackendSpec[];
}

/** The slots of models that are loaded on demand, in the order of the config. */
export function slotSpecs(backends: BackendSpec[]): SlotSpec[] {
  const names = new Set(backends.flatMap(({ slot }) => slot?.name ?? []));
  return [...names].map((name) => ({
    name,
    members: backends.filter(({ slot }) => slot?.name === name),
  }));
}

/**
 * A slot: one container that loads the model that a request asks for, and a valve for each of its models.
 *
 * @param loadSeconds that the slowest of them may take to load, its turn on shared devices included
 */
export function planSlot(context: PlanContext, slot: SlotSpec, loadSeconds: number): SlotPlan {
  const container = `slot-${slot.name}`;
  const port = slotPort(slot.name);
  return {
    name: slot.name,
    service: planServer(context, slot, container, port, loadSeconds),
    members: slot.members.map((member) => ({
      model: member.model,
      valve: planValve(context, member, { name: container, port, healthPath: "/health", slot: slot.name }),
      holdSeconds: holdSeconds(member),
      weights: member.engine.weights ?? [],
    })),
    needs: largestNeeds(slot.members.map(({ instance }) => needsOf(context, instance) ?? [])),
  };
}

function planServer(
  context: PlanContext,
  { members }: SlotSpec,
  name: string,
  port: number,
  loadSeconds: number,
): ServicePlan {
  const engines = members.map(({ engine }) => engine);
  // They all have the same devices, and so the same image.
  const [{ image, ownImage, gpu, groupAdd }] = engines as [EngineContainer];
  const [program, ...args] = llamaSwapCommand(`${CONFIG_DIR}/llama-swap.yaml`, port);
  const server = takingTurns<LockedEngine>(context.dataDir, {
    gpu,
    entrypoint: [program!],
    env: inCommon(engines.map(({ env }) => env)),
    mounts: distinctMounts(engines.flatMap(({ mounts, ownMounts = [] }) => [...mounts, ...ownMounts])),
    healthTest: ["CMD", "curl", "-fsS", `http://127.0.0.1:${port}/health`],
    readySeconds: READY_SECONDS,
  });
  // It watches the devices but locks none: each model does that while it loads.
  const env = gpu ? { ...server.env, GPUBOX_LOCKS: "" } : server.env;
  const models = members.map((member) => onDemandModel(context, member, loadSeconds));
  const own = directory(
    `${context.dataDir}/${name}`,
    Number(NOBODY.split(":")[1]),
    {
      "llama-swap.yaml": configFile(...llamaSwapFile(models)),
      ...Object.assign({}, ...engines.map(({ files = {} }) => files)),
      ...assetFiles(context, server.assets ?? {}),
    },
    context.secrets,
  );
  return {
    directory: own,
    valves: members.map(({ instance }) => valveName(instance)),
    writable: [],
    container: container(
      context,
      {
        name,
        role: image,
        ...(ownImage && { ownImage }),
        entrypoint: server.entrypoint,
        command: args,
        user: NOBODY,
        env: { HOME: "/tmp", ...env },
        networks: { backends: [name] },
        mounts: [
          { kind: "directory", source: own.path, target: CONFIG_DIR, readOnly: true },
          ...server.mounts,
        ],
        gpu,
        ...wantedOf(engines),
        groupAdd,
        memoryMiB: Math.max(...engines.map(({ memoryMiB }) => memoryMiB)) + LLAMA_SWAP_MIB,
        pidsLimit: Math.max(...members.map(({ pidsLimit = SERVER_PROCESSES }) => pidsLimit)),
        init: true,
        health: health(...server.healthTest),
        readySeconds: READY_SECONDS,
        stopGraceSeconds: STOP_SECONDS,
      },
      own.hash,
    ),
  };
}

function onDemandModel(
  context: PlanContext,
  { model, engine, slot }: BackendSpec,
  loadSeconds: number,
): OnDemandModel {
  // llama-swap takes one that hangs for one that is busy, and would not know that another one runs in its place.
  const { entrypoint, env } = takingTurns(context.dataDir, { ...engine, watch: undefined });
  return {
    name: model,
    command: [...entrypoint, ...engine.command],
    env,
    port: engine.port,
    healthPath: engine.healthPath,
    readySeconds: loadSeconds,
    idleSeconds: slot!.idleSeconds,
  };
}

/** One model is loaded at a time, so each device needs the largest of their needs. Undefined when one need is unknown. */
function largestNeeds(all: DeviceNeed[][]): DeviceNeed[] | undefined {
  if (all.some((needs) => needs.length === 0)) return undefined;
  const devices = [...new Set(all.flat().map(({ device }) => device))];
  return devices.map((device) => ({
    device,
    mib: Math.max(...all.flat().flatMap((need) => (need.device === device ? need.mib : []))),
  }));
}

/** The variables that are equal for all models, among them those that select the container's devices. */
function inCommon(all: Record<string, string>[]): Record<string, string> {
  const [first = {}, ...rest] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => rest.every((env) => env[name] === value)),
  );
}

/** What its models want of their container beside their devices: each gets the most that one of them wants. */
function wantedOf(engines: EngineContainer[]): Pick<EngineContainer, "devices" | "ulimits" | "shmMiB"> {
  const devices = engines.flatMap(({ devices = [] }) => devices);
  const ulimits = engines.flatMap(({ ulimits = [] }) => ulimits);
  const shared = engines.flatMap(({ shmMiB = [] }) => shmMiB);
  const most = (a: number, b: number) => (a < 0 || b < 0 ? -1 : Math.max(a, b));
  const names = [...new Set(ulimits.map(({ name }) => name))];
  return {
    ...(devices.length > 0 && { devices: [...new Set(devices)] }),
    ...(names.length > 0 && {
      ulimits: names.map((name) =>
        ulimits
          .filter((one) => one.name === name)
          .reduce((a, b) => ({ name, soft: most(a.soft, b.soft), hard: most(a.hard, b.hard) })),
      ),
    }),
    ...(shared.length > 0 && { shmMiB: Math.max(...shared) }),
  };
}
