import { placementOf } from "../capacity/placement";
import { directory } from "../kit/text";
import type { BackendPlan, DeviceNeed, ServicePlan } from "../kit/types";
import { modelSlug } from "../stack/instances";
import { assetFiles, type BackendSpec, container, health, type PlanContext } from "./context";
import { takingTurns } from "./deviceLock";
import { holdSeconds, planValve } from "./valve";

/** Unprivileged; model files are readable by all. */
export const NOBODY = "65534:65534";

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
 * @param deadlineSeconds time until it must be healthy when all backends start at once, its wait for the device included
 */
export function planBackend(
  context: PlanContext,
  backend: BackendSpec,
  deadlineSeconds: number,
): BackendPlan {
  return {
    model: backend.model,
    instance: backend.instance,
    start: backend.start === "manual" ? "manual" : "auto",
    service: planServer(context, backend, deadlineSeconds),
    valve: planValve(context, backend, {
      name: backendName(backend.instance),
      port: backend.engine.port,
      healthPath: backend.engine.healthPath,
      healthText: backend.engine.healthText,
    }),
    holdSeconds: holdSeconds(backend),
    needs: needsOf(context, backend.instance),
    weights: backend.engine.weights ?? [],
  };
}

/** Its planned share of each of its devices. */
export function needsOf({ gpus }: PlanContext, instance: string): DeviceNeed[] | undefined {
  const placement = placementOf(gpus, instance);
  return placement?.devices.map((device) => ({
    device: String(device),
    mib: Math.ceil(placement.shareBytes / 1024 ** 2),
  }));
}

function planServer(context: PlanContext, backend: BackendSpec, deadlineSeconds: number): ServicePlan {
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
        pidsLimit: backend.pidsLimit,
      },
      own.hash,
    ),
  };
}
