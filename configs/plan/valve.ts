import type { EngineContainer } from "../engines/engine";
import type { ServicePlan } from "../kit/containerPlan";
import { configFile, directory } from "../kit/text";
import { backendName, modelPort, modelSlug } from "../stack/instances";
import { modelBodyBytes } from "./bodyLimits";
import { assetFiles, type BackendSpec, container, health, type PlanContext } from "./context";
import { HAPROXY } from "./edge";
import { CANARY_ASSETS } from "./haproxy/canary";
import { DIRECT_PORT, directKeys, VALVE_ASSETS, VALVE_COMMAND, valveConfig } from "./haproxy/valve";
import { startCommand } from "./manual";
import { valveSilence } from "./silence";

/** Seconds that a request waits for a backend that has no sibling. */
const HOLD_SECONDS = 30;

/** What a valve leads to. */
export interface ValveTarget {
  /** Name on the network of the backends. */
  name: string;
  port: number;
  healthPath: string;
  healthText?: string;
  /** Name of the container that stands in for it while it is replaced. */
  standIn?: string;
  /** True: it may get a share of the requests first. */
  canary?: boolean;
  /** The slot that it is, where it loads the model at a request. */
  slot?: string;
  /** The group whose scheduler it is. */
  group?: string;
}

/** Logical name of an instance's valve, and its name on its networks. */
export function valveName(instance: string): string {
  return `valve-${modelSlug(instance)}`;
}

/** What the containers of valves and of groups' schedulers share: HAProxy that reads its files again without losing a connection. */
export function reloadedProxy(directory: string) {
  return {
    entrypoint: VALVE_COMMAND.slice(0, 1),
    command: VALVE_COMMAND.slice(1),
    user: `${HAPROXY}:${HAPROXY}`,
    mounts: [{ kind: "directory" as const, source: directory, target: "/etc/gpubox", readOnly: true }],
    health: health("CMD", "bash", "/etc/gpubox/health.sh"),
    readySeconds: 60,
    stopSignal: "SIGUSR1" as const,
  };
}

/** Its directory on the host. */
export function valveDirectory(dataDir: string, instance: string): string {
  return `${dataDir}/${valveName(instance)}`;
}

/** URL of an instance's valve, as its gateway sees it. */
export function valveUrl(instance: string): string {
  return `http://${valveName(instance)}:${modelPort(instance)}`;
}

/** The listener between the gateway and a model server: passes, holds for a bounded time, or answers 503. */
export function planValve(context: PlanContext, backend: BackendSpec, target: ValveTarget): ServicePlan {
  const { instance, engine, expose } = backend;
  const { slot, group, ...server } = target;
  const name = valveName(instance);
  const keyed = engineAsksForKey(engine);
  const files = directory(
    valveDirectory(context.dataDir, instance),
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...valveConfig({
          model: backend.model,
          port: modelPort(instance),
          backend: server,
          routes: backend.routes,
          holdSeconds: holdSeconds(backend),
          startHint:
            backend.start === "manual" ? startCommand(context.config.stack, backend.instance) : undefined,
          slot,
          grouped: group !== undefined,
          silence: valveSilence(context.config, backend.model),
          maxParallel: backend.maxParallel,
          bodyBytes: modelBodyBytes(context, backend.model, context.config.models[backend.model]!),
          direct: expose && { keyed },
          metrics:
            context.config.observability.mode === "bundled"
              ? {
                  backendPath: engine.metricsPath,
                  // Not through the scheduler: a look at metrics is no reason to load a model.
                  ...(group === undefined ? {} : { address: `${backendName(instance)}:${engine.port}` }),
                }
              : undefined,
        }),
      ),
      "moved.map": configFile(""),
      ...(expose ? { "keys.map": configFile(...directKeys(expose.key.secret, keyed)) } : {}),
      ...assetFiles(context, {
        ...VALVE_ASSETS,
        ...(target.standIn ? { "prove.py": "gateway/prove.py" } : {}),
        ...(target.standIn && target.canary ? CANARY_ASSETS : {}),
      }),
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
        ...reloadedProxy(files.path),
        memoryMiB: 128,
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

/**
 * Seconds that a request waits at the valve while the backend is away. One that may be down for days is not waited for, and
 * neither is one whose sibling can take the request.
 */
export function holdSeconds({ start, siblings, holdSeconds }: BackendSpec): number {
  if (start === "manual") return 0;
  return holdSeconds ?? (siblings ? 0 : HOLD_SECONDS);
}

/** True where a file of the engine's holds the key between gateway and backend. */
export function engineAsksForKey({ files = {} }: EngineContainer): boolean {
  return Object.values(files).some(({ text }) => text.some((part) => typeof part !== "string"));
}
