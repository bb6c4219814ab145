import type { EngineContainer } from "../engines/engine";
import { placementOf } from "../gpu/placement";
import type { ExposeConfig } from "../schema/backend";
import { assetFiles, container, health, type PlanContext } from "./context";
import { takingTurns } from "./deviceLock";
import { HAPROXY } from "./edge";
import { DIRECT_PORT, directKeys, VALVE_ASSETS, VALVE_COMMAND, valveConfig } from "./haproxy/valve";
import { startCommand } from "./manual";
import { modelPort, modelSlug } from "./names";
import { configFile, directory } from "./text";
import type { BackendPlan, DeviceNeed, ServicePlan } from "./types";

/** Unprivileged; model files are readable by all. */
const NOBODY = "65534:65534";

/** Seconds that a request waits for a backend that has no sibling. */
const HOLD_SECONDS = 30;

/** A model server that the box runs: one for each instance of a model. */
export interface PlannedBackend {
  /** Public name of the model. */
  model: string;
  /** The instance's identity: names of containers, its port. */
  instance: string;
  engine: EngineContainer;
  start: "auto" | "manual";
  /** True where another instance can take a request that this one cannot. */
  siblings: boolean;
  holdSeconds?: number;
  expose?: ExposeConfig;
}

/** URL of an instance's valve, as its gateway sees it. */
export function valveUrl(instance: string): string {
  return `http://valve-${modelSlug(instance)}:${modelPort(instance)}`;
}

/** Logical name of an instance's container. */
export function backendName(instance: string): string {
  return `backend-${modelSlug(instance)}`;
}

/** Directory on the host for what a backend keeps over restarts. */
export function cacheDirectory(dataDir: string, instance: string): string {
  return `${dataDir}/backend-${modelSlug(instance)}-cache`;
}

/**
 * A model server on this host and the valve in front of it.
 *
 * @param deadlineSeconds until it must be healthy when all backends start at once: it may have to wait for its turn
 */
export function planBackend(
  context: PlanContext,
  backend: PlannedBackend,
  deadlineSeconds: number,
): BackendPlan {
  return {
    model: backend.model,
    instance: backend.instance,
    start: backend.start,
    service: planServer(context, backend, deadlineSeconds),
    valve: planValve(context, backend),
    holdSeconds: holdSeconds(backend),
    needs: needsOf(context, backend.instance),
    weights: backend.engine.weights ?? [],
  };
}

/** What the planner gave it on each of its devices. */
function needsOf({ gpus }: PlanContext, instance: string): DeviceNeed[] | undefined {
  const placement = placementOf(gpus, instance);
  return placement?.devices.map((device) => ({
    device: String(device),
    mib: Math.ceil(placement.shareBytes / 1024 ** 2),
  }));
}

function planServer(context: PlanContext, backend: PlannedBackend, deadlineSeconds: number): ServicePlan {
  const name = backendName(backend.instance);
  const engine = takingTurns(context.dataDir, backend.engine);
  const { image, user = NOBODY, port, mounts, readySeconds: _____, ...rest } = engine;
  const {
    healthPath: _,
    healthText: __,
    metricsPath: ____,
    healthTest,
    files = {},
    assets = {},
    weights: ___,
    ...choices
  } = rest;
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  const own = directory(
    `${context.dataDir}/${name}`,
    gid,
    { ...files, ...assetFiles(context, assets) },
    context.secrets,
  );
  const config = { kind: "directory" as const, source: own.path, target: "/etc/gpubox", readOnly: true };
  return {
    directory: own,
    writable: mounts.filter((mount) => !mount.readOnly).map(({ source }) => ({ path: source, uid, gid })),
    container: container(
      context,
      {
        ...choices,
        name,
        role: image,
        env: { HOME: "/tmp", ...engine.env },
        user,
        networks: { backends: [name] },
        mounts: [...(Object.keys(own.files).length > 0 ? [config] : []), ...mounts],
        // As PID 1, engines ignore a stop until they have loaded, and leave the processes of their workers behind.
        init: true,
        health: { ...health(...healthTest), startPeriodSeconds: deadlineSeconds },
        readySeconds: deadlineSeconds,
        started: backend.start === "auto",
      },
      own.hash,
    ),
  };
}

function planValve(context: PlanContext, backend: PlannedBackend): ServicePlan {
  const { instance, engine, expose } = backend;
  const name = `valve-${modelSlug(instance)}`;
  const keyed = engineAsksForKey(engine);
  const files = directory(
    `${context.dataDir}/${name}`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...valveConfig({
          model: backend.model,
          port: modelPort(instance),
          backend: {
            name: backendName(instance),
            port: engine.port,
            healthPath: engine.healthPath,
            healthText: engine.healthText,
          },
          holdSeconds: holdSeconds(backend),
          startHint:
            backend.start === "manual" ? startCommand(context.config.stack, backend.instance) : undefined,
          direct: expose && { keyed },
          metrics:
            context.config.observability.mode === "bundled" ? { backendPath: engine.metricsPath } : undefined,
        }),
      ),
      ...(expose ? { "keys.map": configFile(...directKeys(expose.key.secret, keyed)) } : {}),
      ...assetFiles(context, VALVE_ASSETS),
    },
    context.secrets,
  );
  return {
    directory: files,
    writable: [],
    reloads: true,
    container: container(
      context,
      {
        name,
        role: "edge",
        entrypoint: VALVE_COMMAND.slice(0, 1),
        command: VALVE_COMMAND.slice(1),
        user: `${HAPROXY}:${HAPROXY}`,
        mounts: [{ kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true }],
        memoryMiB: 128,
        health: health("CMD", "bash", "/etc/gpubox/health.sh"),
        readySeconds: 60,
        stopSignal: "SIGUSR1",
        // Only a network with a way out can publish a port.
        networks: { models: [name], backends: [], ...(expose ? { edge: [] } : {}) },
        ...(expose ? { ports: [{ bind: expose.bind, port: expose.port, containerPort: DIRECT_PORT }] } : {}),
        stopGraceSeconds: 60,
      },
      // The files are reloaded and are no reason for another container.
      "",
    ),
  };
}

/** One that may be down for days is not waited for, and neither is one whose sibling can take the request. */
function holdSeconds({ start, siblings, holdSeconds }: PlannedBackend): number {
  if (start === "manual") return 0;
  return holdSeconds ?? (siblings ? 0 : HOLD_SECONDS);
}

/** True where a file of the engine's holds the key between gateway and backend. */
function engineAsksForKey({ files = {} }: EngineContainer): boolean {
  return Object.values(files).some(({ text }) => text.some((part) => typeof part !== "string"));
}
