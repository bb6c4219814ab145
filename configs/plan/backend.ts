import type { EngineContainer } from "../engines/engine";
import { assetFiles, container, health, type PlanContext } from "./context";
import { HAPROXY } from "./edge";
import { VALVE_ASSETS, VALVE_COMMAND, valveConfig } from "./haproxy/valve";
import { startCommand } from "./manual";
import { modelPort, modelSlug } from "./names";
import { configFile, directory } from "./text";
import type { BackendPlan, ServicePlan } from "./types";

/** Unprivileged; model files are readable by all. */
const BACKEND = 65534;

/** URL of a model's valve, as its gateway sees it. */
export function valveUrl(model: string): string {
  return `http://valve-${modelSlug(model)}:${modelPort(model)}`;
}

/** A model server on this host and the valve in front of it. */
export function planBackend(
  context: PlanContext,
  model: string,
  engine: EngineContainer,
  manual: boolean,
): BackendPlan {
  return {
    model,
    service: planServer(context, model, engine, manual),
    valve: planValve(context, model, engine, manual),
    weights: engine.weights,
  };
}

function planServer(
  context: PlanContext,
  model: string,
  engine: EngineContainer,
  manual: boolean,
): ServicePlan {
  const name = `backend-${modelSlug(model)}`;
  const files = directory(`${context.dataDir}/${name}`, BACKEND, {}, context.secrets);
  const modelDir = engine.modelFile.slice(0, engine.modelFile.lastIndexOf("/"));
  return {
    directory: files,
    writable: [],
    container: container(
      context,
      {
        name,
        role: "llamacpp",
        entrypoint: engine.entrypoint,
        command: engine.command,
        env: { HOME: "/tmp", ...engine.env },
        user: `${BACKEND}:${BACKEND}`,
        networks: { backends: [name] },
        mounts: [{ kind: "directory", source: modelDir, target: modelDir, readOnly: true }],
        memoryMiB: engine.memoryMiB,
        // llama.cpp installs its signal handler only after the load; as PID 1 it would ignore a stop until then.
        init: true,
        health: {
          ...health("CMD", "curl", "-fsS", `http://127.0.0.1:${engine.port}${engine.healthPath}`),
          startPeriodSeconds: engine.readySeconds,
        },
        readySeconds: engine.readySeconds,
        stopGraceSeconds: engine.stopGraceSeconds,
        started: !manual,
      },
      files.hash,
    ),
  };
}

function planValve(
  context: PlanContext,
  model: string,
  engine: EngineContainer,
  manual: boolean,
): ServicePlan {
  const name = `valve-${modelSlug(model)}`;
  const files = directory(
    `${context.dataDir}/${name}`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...valveConfig({
          model,
          port: modelPort(model),
          backend: { name: `backend-${modelSlug(model)}`, port: engine.port, healthPath: engine.healthPath },
          // One that may be down for days is not waited for.
          holdSeconds: manual ? 0 : engine.holdSeconds,
          startHint: manual ? startCommand(context.config.stack, model) : undefined,
        }),
      ),
      ...assetFiles(context, VALVE_ASSETS),
    },
    context.secrets,
  );
  return {
    directory: files,
    writable: [],
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
        networks: { models: [name], backends: [] },
        stopGraceSeconds: 60,
      },
      files.hash,
    ),
  };
}
