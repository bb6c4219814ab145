import type { ServicePlan } from "../kit/containerPlan";
import { configFile, directory } from "../kit/text";
import { assetFiles, container, health, type PlanContext } from "./context";

/** uid and gid of `postgres` in the official Debian image; the recipe uses the same. */
const POSTGRES = 999;

/** The role that owns the database of the same name, and nothing else. */
const OWNER = "litellm";

/**
 * Postgres for virtual keys and spend. Its volume outlives every replacement, `down` and the loss of Pulumi's state.
 */
export function planDatabase(context: PlanContext): ServicePlan | undefined {
  const { database } = context.config;
  if (database.mode !== "bundled") return undefined;
  const { memoryMiB } = database;
  const name = "database";
  const files = directory(
    `${context.dataDir}/${name}`,
    POSTGRES,
    {
      ...assetFiles(context, {
        "entrypoint.sh": "database/entrypoint.sh",
        "health.sh": "database/health.sh",
        "login.sh": "database/login.sh",
        "heal.sh": "health/heal.sh",
      }),
      password: configFile({ secret: "databasePassword", as: "raw" }),
      "salt-fingerprint": configFile(context.saltFingerprint),
    },
    context.secrets,
  );
  const state = { path: `${context.dataDir}/${name}-state`, uid: POSTGRES, gid: POSTGRES };
  const volume = { name: `${context.prefix}-${name}` };
  return {
    directory: files,
    writable: [state],
    volume,
    container: container(
      context,
      {
        name,
        role: name,
        entrypoint: ["sh"],
        command: ["/etc/gpubox/entrypoint.sh"],
        user: `${POSTGRES}:${POSTGRES}`,
        env: { GPUBOX_OWNER: OWNER },
        networks: { data: [name] },
        mounts: [
          { kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true },
          { kind: "directory", source: state.path, target: "/var/lib/gpubox", readOnly: false },
          { kind: "volume", source: volume.name, target: "/var/lib/postgresql/data", readOnly: false },
        ],
        memoryMiB,
        // Docker's 64 MB is too little for parallel queries.
        shmMiB: 256,
        health: { ...health("CMD", "sh", "/etc/gpubox/health.sh"), timeoutSeconds: 10 },
        readySeconds: 120,
        // SIGINT is Postgres' fast shutdown; the image's own text calls 10 and even 90 seconds too short.
        stopSignal: "SIGINT",
        stopGraceSeconds: 120,
      },
      files.hash,
    ),
  };
}
