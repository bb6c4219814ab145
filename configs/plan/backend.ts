import type { EngineContainer } from "../engines/engine";
import { assetFile, container, health, type PlanContext } from "./context";
import { HAPROXY, valveDirectoryMount } from "./edge";
import { valveConfig } from "./haproxy/valve";
import { modelSlug } from "./names";
import { configFile, directory } from "./text";
import type { BackendPlan, ServicePlan } from "./types";

/** Unprivileged; model files are readable by all. */
const BACKEND = 65534;

/** Seconds that a request waits for a backend that is being replaced or restarted. */
export const HOLD_SECONDS = 30;

/** Port of every valve on the models network. */
export const VALVE_PORT = 8080;

/** URL of a model's valve, as its gateway sees it. */
export function valveUrl(model: string): string {
  return `http://valve-${modelSlug(model)}:${VALVE_PORT}`;
}

/** A model server on this host and the valve in front of it. */
export function planBackend(context: PlanContext, model: string, engine: EngineContainer): BackendPlan {
  return {
    model,
    service: planServer(context, model, engine),
    valve: planValve(context, model, engine),
    weights: engine.weights,
  };
}

function planServer(context: PlanContext, model: string, engine: EngineContainer): ServicePlan {
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
      },
      files.hash,
    ),
  };
}

function planValve(context: PlanContext, model: string, engine: EngineContainer): ServicePlan {
  const name = `valve-${modelSlug(model)}`;
  const files = directory(
    `${context.dataDir}/${name}`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...valveConfig({
          model,
          backend: { name: `backend-${modelSlug(model)}`, port: engine.port, healthPath: engine.healthPath },
          holdSeconds: HOLD_SECONDS,
        }),
      ),
      "hold.lua": assetFile(context, "haproxy/hold.lua"),
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
        ...valveDirectoryMount(files.path),
        networks: { models: [name], backends: [] },
        stopGraceSeconds: 60,
      },
      files.hash,
    ),
  };
}
