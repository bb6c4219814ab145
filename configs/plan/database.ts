import { configFile, directory } from "../kit/text";
import type { ServicePlan } from "../kit/types";
import { assetFile, container, health, type PlanContext } from "./context";

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
      "entrypoint.sh": assetFile(context, "database/entrypoint.sh"),
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
        // Over TCP and with the password, because the socket answers before the database is ready.
        health: health(
          "CMD-SHELL",
          `PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" PGPASSWORD="$(cat /etc/gpubox/password)" psql -h 127.0.0.1 -U ${OWNER} -d ${OWNER} -qtc "select 1"`,
        ),
        readySeconds: 120,
        // SIGINT is Postgres' fast shutdown; the image's own text calls 10 and even 90 seconds too short.
        stopSignal: "SIGINT",
        stopGraceSeconds: 120,
      },
      files.hash,
    ),
  };
}
