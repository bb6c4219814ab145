import { acceptedHosts, adminPort } from "../checks";
import { assetFiles, container, health, type PlanContext } from "./context";
import { usesDatabase } from "./gateway";
import { ADMIN_PORT, CLIENT_PORT, EDGE_ASSETS, edgeConfig, edgeKeys } from "./haproxy/edge";
import { configFile, directory } from "./text";
import type { ServicePlan } from "./types";

/** uid and gid of `haproxy` in the official image; the recipe uses the same. */
export const HAPROXY = 99;

/**
 * Seconds that the edge gives running requests when it is itself replaced. Nobody gets in meanwhile, because only one
 * container can own the port: short requests end, long streams are cut, and the interruption stays short.
 */
const EDGE_GRACE_SECONDS = 5;

/** HAProxy in front: owns the ports and sends traffic to the proven gateway only. */
export function planEdge(context: PlanContext): ServicePlan {
  const { config } = context;
  const files = directory(
    `${context.dataDir}/edge`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...edgeConfig({
          hosts: acceptedHosts(config),
          auth: config.gateway.auth,
          keys: usesDatabase(context) ? "virtual" : "master",
          audio: Object.values(config.models).some(({ mode }) => mode.startsWith("audio_")),
          maxParallel: config.gateway.limits.maxParallel,
          adminEndpoint: `http://127.0.0.1:${adminPort(config)}`,
          metrics: config.observability.mode === "bundled",
        }),
      ),
      "keys.map": configFile(
        ...edgeKeys({ previousMasterKey: context.secrets.previousMasterKey !== undefined }),
      ),
      ...assetFiles(context, EDGE_ASSETS),
    },
    context.secrets,
  );
  const state = { path: `${context.dataDir}/edge-state`, uid: HAPROXY, gid: HAPROXY };
  return {
    directory: files,
    writable: [state],
    reloads: true,
    container: container(
      context,
      {
        name: "edge",
        role: "edge",
        entrypoint: ["bash"],
        command: ["/etc/gpubox/entrypoint.sh"],
        user: `${HAPROXY}:${HAPROXY}`,
        networks: { edge: ["edge"] },
        mounts: [
          { kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true },
          { kind: "directory", source: state.path, target: "/var/lib/gpubox", readOnly: false },
        ],
        ports: [
          { bind: config.gateway.bind, port: config.gateway.port, containerPort: CLIENT_PORT },
          { bind: "127.0.0.1", port: adminPort(config), containerPort: ADMIN_PORT },
        ],
        memoryMiB: 512,
        health: health("CMD", "bash", "/etc/gpubox/health.sh"),
        readySeconds: 60,
        stopSignal: "SIGUSR1",
        stopGraceSeconds: EDGE_GRACE_SECONDS,
      },
      // The files are reloaded and are no reason for another container.
      "",
    ),
  };
}
