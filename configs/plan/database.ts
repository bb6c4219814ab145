import { configFile, directory, type SecretPart } from "../kit/text";
import type { NetworkRole, ServicePlan } from "../kit/types";
import { assetFile, container, health, type PlanContext } from "./context";

/** uid and gid of `postgres` in the official Debian image; the recipe uses the same. */
const POSTGRES = 999;

/** Postgres for virtual keys and spend. */
export function planDatabase(context: PlanContext): ServicePlan | undefined {
  const { database } = context.config;
  if (database.mode !== "bundled") return undefined;
  return planPostgres(context, {
    name: "database",
    owner: "litellm",
    password: { secret: "databasePassword", as: "raw" },
    network: "data",
    memoryMiB: database.memoryMiB,
  });
}

interface PostgresChoices {
  /** Of the container, and on its network. */
  name: string;
  /** The role that owns the database of the same name, and nothing else. */
  owner: string;
  password: SecretPart;
  network: NetworkRole;
  memoryMiB: number;
}

/** A Postgres. Its volume outlives every replacement, `down` and the loss of Pulumi's state. */
export function planPostgres(context: PlanContext, choices: PostgresChoices): ServicePlan {
  const { memoryMiB, name, network, owner, password } = choices;
  const files = directory(
    `${context.dataDir}/${name}`,
    POSTGRES,
    {
      "entrypoint.sh": assetFile(context, "database/entrypoint.sh"),
      password: configFile(password),
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
        role: "database",
        entrypoint: ["sh"],
        command: ["/etc/gpubox/entrypoint.sh"],
        user: `${POSTGRES}:${POSTGRES}`,
        env: { GPUBOX_OWNER: owner },
        networks: { [network]: [name] },
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
          `PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" PGPASSWORD="$(cat /etc/gpubox/password)" psql -h 127.0.0.1 -U ${owner} -d ${owner} -qtc "select 1"`,
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
