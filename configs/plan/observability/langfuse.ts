import { directory, envFile, type SecretPart, shellQuote, type TextPart } from "../../kit/text";
import type { MountPlan, ServicePlan } from "../../kit/types";
import { bracketed } from "../../network/addresses";
import type { ObservabilityConfig } from "../../schema/observability";
import { planRedis } from "../cache";
import { assetFile, type ContainerChoices, container, health, type PlanContext } from "../context";
import { planPostgres } from "../database";
import { healthAt } from "./exporters";

type Bundled = Extract<ObservabilityConfig["langfuse"], { mode: "bundled" }>;

const PORT = 3000;
const WORKER_PORT = 3030;

/** Where gateways find Langfuse. */
export const LANGFUSE_URL = `http://langfuse:${PORT}`;

/** Keys of Langfuse's one project, which Langfuse makes at its first start. */
export const PROJECT_KEYS = {
  public: ["'pk-lf-", token("langfuse public key"), "'"],
  secret: ["'sk-lf-", token("langfuse secret key"), "'"],
} satisfies Record<string, TextPart[]>;

/** User of Langfuse's images. */
const LANGFUSE = 1001;
/** `clickhouse` of the official image. */
const CLICKHOUSE = 101;

/** MinIO asks for no certain user: one that nothing else on a box has. */
const MINIO = 65532;

const BUCKET = "langfuse";

/** A password that nobody types: made of the salt key, which never changes while there is data. */
function token(purpose: string): SecretPart {
  return { secret: "saltKey", as: "derived", purpose };
}

const PASSWORDS = {
  database: token("langfuse database"),
  cache: token("langfuse cache"),
  clickhouse: token("langfuse clickhouse"),
  files: token("langfuse files"),
};

/**
 * Langfuse with all that it needs: Postgres, Redis, ClickHouse, an S3 store, its worker and its pages. Names and values of
 * variables are those of Langfuse's own Compose file.
 */
export function planLangfuse(context: PlanContext, langfuse: Bundled): ServicePlan[] {
  return [
    planPostgres(context, {
      name: "langfuse-database",
      owner: "langfuse",
      password: PASSWORDS.database,
      network: "langfuse",
      memoryMiB: 512,
    }),
    planRedis(context, {
      name: "langfuse-cache",
      password: PASSWORDS.cache,
      quotedPassword: PASSWORDS.cache,
      network: "langfuse",
      memoryMiB: 512,
      // It holds the queue between pages and worker: a trace that is thrown away would be lost.
      whenFull: "noeviction",
    }),
    clickhouse(context),
    files(context),
    service(context, {
      name: "langfuse-worker",
      role: "langfuse-worker",
      ...run("dumb-init", "--", "./worker/entrypoint.sh", "node", "worker/dist/index.js"),
      user: `${LANGFUSE}:${LANGFUSE}`,
      variables: shared(),
      networks: { langfuse: [] },
      memoryMiB: 2048,
      health: healthAt(WORKER_PORT, "/api/health"),
      readySeconds: 300,
      stopGraceSeconds: 60,
    }),
    service(context, {
      name: "langfuse",
      role: "langfuse",
      ...run(
        ...["dumb-init", "--", "./web/entrypoint.sh"],
        ...["node", "./web/server.js", "--keepAliveTimeout", "110000"],
      ),
      user: `${LANGFUSE}:${LANGFUSE}`,
      variables: { ...shared(), ...pages(context, langfuse) },
      networks: { langfuse: [], edge: ["langfuse"] },
      ports: [{ bind: langfuse.bind, port: langfuse.port, containerPort: PORT }],
      memoryMiB: 2048,
      health: healthAt(PORT, "/api/public/health"),
      // It makes the tables of both databases first.
      readySeconds: 600,
      stopGraceSeconds: 60,
    }),
  ];
}

/** The store of traces. */
function clickhouse(context: PlanContext): ServicePlan {
  return service(context, {
    name: "langfuse-clickhouse",
    role: "clickhouse",
    ...run("/entrypoint.sh"),
    user: `${CLICKHOUSE}:${CLICKHOUSE}`,
    variables: {
      CLICKHOUSE_DB: ["'default'"],
      CLICKHOUSE_USER: ["'clickhouse'"],
      CLICKHOUSE_PASSWORD: quoted(PASSWORDS.clickhouse),
    },
    networks: { langfuse: ["langfuse-clickhouse"] },
    data: "/var/lib/clickhouse",
    ulimits: [{ name: "nofile", soft: 262144, hard: 262144 }],
    memoryMiB: 4096,
    health: healthAt(8123, "/ping"),
    readySeconds: 180,
    stopGraceSeconds: 60,
  });
}

/** Where the pages put what comes in, and the worker takes it. */
function files(context: PlanContext): ServicePlan {
  return service(context, {
    name: "langfuse-files",
    role: "minio",
    ...run("sh", "-c", `mkdir -p /data/${BUCKET} && exec minio server --address :9000 /data`),
    user: `${MINIO}:${MINIO}`,
    variables: {
      MINIO_ROOT_USER: ["'minio'"],
      MINIO_ROOT_PASSWORD: quoted(PASSWORDS.files),
    },
    networks: { langfuse: ["langfuse-files"] },
    // A volume would belong to root, as whom the image runs by default.
    directory: "/data",
    memoryMiB: 512,
    health: health("CMD", "mc", "ready", "local"),
    readySeconds: 120,
    stopGraceSeconds: 30,
  });
}

type Choices = Omit<ContainerChoices, "mounts" | "env"> & {
  variables: Record<string, TextPart[]>;
  /** Directory in the container that a volume keeps. */
  data?: string;
  /** Directory in the container that lies in the box's data directory, for the container's user. */
  directory?: string;
};

/** One of Langfuse's containers: its variables hold passwords, so they lie in a file. */
function service(
  context: PlanContext,
  { data, directory: kept, variables, ...choices }: Choices,
): ServicePlan {
  const [uid = 0, gid = 0] = choices.user.split(":").map(Number);
  const own = directory(
    `${context.dataDir}/${choices.name}`,
    gid,
    {
      "with-env.sh": assetFile(context, "backend/with-env.sh"),
      "backend.env": envFile(variables),
    },
    context.secrets,
  );
  const state = { path: `${context.dataDir}/${choices.name}-state`, uid, gid };
  const volume = { name: `${context.prefix}-${choices.name}` };
  const mounts: MountPlan[] = [
    { kind: "directory", source: own.path, target: "/etc/gpubox", readOnly: true },
  ];
  if (data) mounts.push({ kind: "volume", source: volume.name, target: data, readOnly: false });
  if (kept) mounts.push({ kind: "directory", source: state.path, target: kept, readOnly: false });
  return {
    directory: own,
    writable: kept ? [state] : [],
    ...(data ? { volume } : {}),
    // The images write beside their programs.
    container: container(context, { ...choices, env: { HOME: "/tmp" }, mounts, readOnly: false }, own.hash),
  };
}

/** An image's own command, with the variables of its file. */
function run(...command: string[]): Pick<ContainerChoices, "entrypoint" | "command"> {
  return { entrypoint: ["sh"], command: ["/etc/gpubox/with-env.sh", ...command] };
}

/** What pages and worker both need. */
function shared(): Record<string, TextPart[]> {
  return {
    DATABASE_URL: ["'postgresql://langfuse:", PASSWORDS.database, "@langfuse-database:5432/langfuse'"],
    SALT: quoted(token("langfuse salt")),
    // 64 hex digits, as a token is.
    ENCRYPTION_KEY: quoted(token("langfuse encryption")),
    TELEMETRY_ENABLED: ["'false'"],
    CLICKHOUSE_MIGRATION_URL: ["'clickhouse://langfuse-clickhouse:9000'"],
    CLICKHOUSE_URL: ["'http://langfuse-clickhouse:8123'"],
    CLICKHOUSE_USER: ["'clickhouse'"],
    CLICKHOUSE_PASSWORD: quoted(PASSWORDS.clickhouse),
    CLICKHOUSE_CLUSTER_ENABLED: ["'false'"],
    ...store("EVENT_UPLOAD", "events/"),
    ...store("MEDIA_UPLOAD", "media/"),
    LANGFUSE_S3_BATCH_EXPORT_ENABLED: ["'false'"],
    REDIS_HOST: ["'langfuse-cache'"],
    REDIS_PORT: ["'6379'"],
    REDIS_AUTH: quoted(PASSWORDS.cache),
    REDIS_TLS_ENABLED: ["'false'"],
  };
}

function store(kind: string, prefix: string): Record<string, TextPart[]> {
  const variables = {
    BUCKET: [shellQuote(BUCKET)],
    REGION: ["'auto'"],
    ACCESS_KEY_ID: ["'minio'"],
    SECRET_ACCESS_KEY: quoted(PASSWORDS.files),
    ENDPOINT: ["'http://langfuse-files:9000'"],
    FORCE_PATH_STYLE: ["'true'"],
    PREFIX: [shellQuote(prefix)],
  };
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [`LANGFUSE_S3_${kind}_${name}`, value]),
  );
}

/** What only the pages need: how people come in, and the project that they find. */
function pages({ config }: PlanContext, { bind, email, port }: Bundled): Record<string, TextPart[]> {
  return {
    NEXTAUTH_URL: [shellQuote(`http://${bracketed(bind)}:${port}`)],
    NEXTAUTH_SECRET: quoted(token("langfuse sessions")),
    AUTH_DISABLE_SIGNUP: ["'true'"],
    LANGFUSE_INIT_ORG_ID: ["'gpubox'"],
    LANGFUSE_INIT_ORG_NAME: ["'gpubox'"],
    LANGFUSE_INIT_PROJECT_ID: [shellQuote(config.stack)],
    LANGFUSE_INIT_PROJECT_NAME: [shellQuote(config.stack)],
    LANGFUSE_INIT_PROJECT_PUBLIC_KEY: PROJECT_KEYS.public,
    LANGFUSE_INIT_PROJECT_SECRET_KEY: PROJECT_KEYS.secret,
    LANGFUSE_INIT_USER_EMAIL: [shellQuote(email)],
    LANGFUSE_INIT_USER_NAME: ["'admin'"],
    LANGFUSE_INIT_USER_PASSWORD: [{ secret: "langfusePassword", as: "shell" }],
  };
}

/** A token is hex digits: quotes are all that it needs. */
function quoted(part: SecretPart): TextPart[] {
  return ["'", part, "'"];
}
