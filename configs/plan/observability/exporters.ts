import { bashHealth } from "../../engines/container";
import type { ContainerPlan, ServicePlan } from "../../kit/containerPlan";
import { nvidiaGpus } from "../../kit/gpus";
import { configFile, directory, envFile, type FilePlan } from "../../kit/text";
import { container, health, type PlanContext } from "../context";
import { nvidiaDevices } from "./optional";
import { metricsDirectory } from "./textfile";

const NOBODY = 65534;

/** Ports that the exporters listen on by default. */
export const EXPORTER_PORTS = { "node-exporter": 9100, "redis-exporter": 9121, "postgres-exporter": 9187 };
export const DCGM_PORT = 9400;

interface ExporterChoices {
  role: "node-exporter" | "redis-exporter" | "postgres-exporter";
  entrypoint: string[];
  command: string[];
  env?: Record<string, string>;
  files?: Record<string, FilePlan>;
  mounts?: ContainerPlan["mounts"];
  networks?: ContainerPlan["networks"];
  writable?: ServicePlan["writable"];
}

function exporter(context: PlanContext, choices: ExporterChoices): ServicePlan {
  const { role, files = {}, mounts = [], networks = {}, writable = [], ...own } = choices;
  const config = directory(`${context.dataDir}/${role}`, NOBODY, files, context.secrets);
  return {
    directory: config,
    writable,
    container: container(
      context,
      {
        ...own,
        name: role,
        role,
        user: `${NOBODY}:${NOBODY}`,
        networks: { metrics: [role], ...networks },
        mounts: [
          { kind: "directory", source: config.path, target: "/etc/gpubox", readOnly: true },
          ...mounts,
        ],
        memoryMiB: 64,
        health: healthAt(EXPORTER_PORTS[role], "/"),
        readySeconds: 60,
        stopGraceSeconds: 10,
      },
      config.hash,
    ),
  };
}

/** wget is in the official images by busybox, and in those of the recipes. */
export function healthAt(port: number, path: string): ContainerPlan["health"] {
  return health("CMD", "wget", "-q", "-O", "/dev/null", `http://127.0.0.1:${port}${path}`);
}

/**
 * The host's processors, memory and disks. It mounts nothing of the host: those numbers of /proc are the host's in every
 * container, and the host's whole /proc would show the environment of every process of the same user.
 */
export function planHostExporter(context: PlanContext): ServicePlan {
  const textfiles = { path: metricsDirectory(context.dataDir), uid: NOBODY, gid: NOBODY };
  return exporter(context, {
    role: "node-exporter",
    entrypoint: ["/bin/node_exporter"],
    command: [
      "--collector.disable-defaults",
      ...[
        "cpu",
        "diskstats",
        "filesystem",
        "loadavg",
        "meminfo",
        "pressure",
        "textfile",
        "time",
        "vmstat",
      ].map((name) => `--collector.${name}`),
      "--collector.textfile.directory=/var/lib/gpubox/metrics",
      // The container's root lies on the engine's disk, the mounted directory on that of the box's data.
      "--collector.filesystem.fs-types-exclude=^(proc|sysfs|tmpfs|devpts|devtmpfs|mqueue|cgroup2?|shm)$",
      "--collector.filesystem.mount-points-exclude=^/(etc|dev|proc|sys)($|/)",
    ],
    mounts: [
      { kind: "directory", source: textfiles.path, target: "/var/lib/gpubox/metrics", readOnly: true },
    ],
    writable: [textfiles],
  });
}

/** The password comes from a file that the shell reads: neither argument nor `docker inspect` shows it. */
export function planRedisExporter(context: PlanContext): ServicePlan {
  return exporter(context, {
    role: "redis-exporter",
    entrypoint: ["sh", "-c"],
    command: ["set -a; . /etc/gpubox/redis.env; exec /redis_exporter"],
    env: { REDIS_ADDR: "redis://cache:6379" },
    files: { "redis.env": envFile({ REDIS_PASSWORD: [{ secret: "cachePassword", as: "shell" }] }) },
    networks: { data: [] },
  });
}

export function planPostgresExporter(context: PlanContext): ServicePlan {
  return exporter(context, {
    role: "postgres-exporter",
    entrypoint: ["/bin/postgres_exporter"],
    command: [],
    env: {
      DATA_SOURCE_URI: "database:5432/litellm?sslmode=disable",
      DATA_SOURCE_USER: "litellm",
      DATA_SOURCE_PASS_FILE: "/etc/gpubox/password",
    },
    files: { password: configFile({ secret: "databasePassword", as: "raw" }) },
    networks: { data: [] },
  });
}

/** What is read of each NVIDIA device. Nothing of DCGM's profiling module, which needs CAP_SYS_ADMIN. */
const GPU_FIELDS = [
  "DCGM_FI_DEV_GPU_UTIL, gauge, Utilization in %.",
  "DCGM_FI_DEV_FB_USED, gauge, Memory used in MiB.",
  "DCGM_FI_DEV_FB_FREE, gauge, Memory free in MiB.",
  "DCGM_FI_DEV_GPU_TEMP, gauge, Temperature in degrees Celsius.",
  "DCGM_FI_DEV_POWER_USAGE, gauge, Power in W.",
  "DCGM_FI_DEV_XID_ERRORS, gauge, Number of the last XID error.",
];

/** NVIDIA's exporter, with every device that the host declares. */
export function planGpuExporter(context: PlanContext): ServicePlan {
  const files = directory(
    `${context.dataDir}/dcgm-exporter`,
    NOBODY,
    { "fields.csv": configFile(`${GPU_FIELDS.join("\n")}\n`) },
    context.secrets,
  );
  const ids = nvidiaDevices(context).map(({ id }) => String(id));
  const gpu = nvidiaGpus(ids, context.config.host.gpuAccess);
  return {
    directory: files,
    writable: [],
    container: container(
      context,
      {
        name: "dcgm-exporter",
        role: "dcgm-exporter",
        entrypoint: ["dcgm-exporter"],
        command: ["--address", `:${DCGM_PORT}`, "--collectors", "/etc/gpubox/fields.csv"],
        user: `${NOBODY}:${NOBODY}`,
        env: { HOME: "/tmp" },
        networks: { metrics: ["dcgm-exporter"] },
        mounts: [{ kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true }],
        gpu,
        memoryMiB: 512,
        health: health(...bashHealth(DCGM_PORT, "/health")),
        readySeconds: 120,
        stopGraceSeconds: 10,
      },
      files.hash,
    ),
  };
}
