/** What a gateway finds in its environment and in its env file, and what its database's clients read. */

import type { FilePlan } from "../kit/text";
import { configFile, envFile, shellQuote, type TextPart } from "../kit/text";
import type { GatewayConfig } from "../schema/gateway";
import type { StackConfig } from "../stack/config";
import { secretsOf } from "../stack/optionalModels";
import { assetFiles, type PlanContext } from "./context";
import { ssoVariables } from "./sso";

/** Seconds from the drain announcement to SIGTERM: more than the edge's `fall` times its check interval. */
const DRAIN_NOTICE_SECONDS = 5;

/** The public environment, which `docker inspect` shows. Every path that LiteLLM writes to lies on the tmpfs. */
export function environment({ drainTimeout, logs }: GatewayConfig): Record<string, string> {
  return {
    HOME: "/tmp",
    XDG_CACHE_HOME: "/tmp/cache",
    LITELLM_MODE: "PRODUCTION",
    LITELLM_LOG: logs.level,
    LITELLM_LOCAL_MODEL_COST_MAP: "True",
    LITELLM_MIGRATION_DIR: "/tmp/migrations",
    LITELLM_UI_PATH: "/tmp/ui",
    LITELLM_ASSETS_PATH: "/tmp/assets",
    LITELLM_NON_ROOT: "true",
    PYTHONDONTWRITEBYTECODE: "1",
    GRACEFUL_SHUTDOWN_TIMEOUT: String(drainTimeout),
    DRAIN_NOTICE_SECONDS: String(DRAIN_NOTICE_SECONDS),
    // Above the edge's idle timeout, so that LiteLLM never closes a connection under a request.
    KEEPALIVE_TIMEOUT: "120",
    // Below the valves' idle timeout, so that none closes a connection under a request.
    AIOHTTP_KEEPALIVE_TIMEOUT: "120",
  };
}

/** Variables that the config adds. All go into the env file, so that secrets need no special treatment. */
export function ownVariables({ gateway }: StackConfig): Record<string, TextPart[]> {
  return Object.fromEntries(
    Object.entries(gateway.env).map(([name, value]) => [
      name,
      typeof value === "string" ? [shellQuote(value)] : [{ secret: value.secret, as: "shell" }],
    ]),
  );
}

export function redisVariables(context: PlanContext): Record<string, TextPart[]> {
  const { mode, url } = context.config.cache;
  if (mode === "bundled")
    return {
      REDIS_HOST: ["'cache'"],
      REDIS_PORT: ["'6379'"],
      REDIS_PASSWORD: [{ secret: "cachePassword", as: "shell" }],
    };
  if (mode === "none" || !url) return {};
  return {
    REDIS_HOST: [{ secret: url.secret, as: "shell-url-hostname" }],
    REDIS_PORT: [{ secret: url.secret, as: "shell-url-port" }],
    // LiteLLM reads these itself, for the router and for answers alike (get_redis_kwargs of litellm/_redis.py).
    REDIS_USERNAME: [{ secret: url.secret, as: "shell-url-username" }],
    REDIS_PASSWORD: [{ secret: url.secret, as: "shell-url-password" }],
    REDIS_DB: [{ secret: url.secret, as: "shell-url-database" }],
    REDIS_SSL: [{ secret: url.secret, as: "shell-url-tls" }],
  };
}

/** What LiteLLM's UI needs. Without a declared login it takes `admin` and the master key. */
export function uiVariables(context: PlanContext): Record<string, TextPart[]> {
  const { ui } = context.config.access;
  return {
    // LiteLLM would send a browser that logs in to the Host that it sees, which the edge sets and no browser can reach. An empty
    // base makes these links relative, so that the UI works at every address of the admin port and through a tunnel.
    PROXY_BASE_URL: ["''"],
    ...(ui ? login(ui) : {}),
    ...ssoVariables(context.config),
  };
}

function login(ui: NonNullable<StackConfig["access"]["ui"]>): Record<string, TextPart[]> {
  return {
    UI_USERNAME: [shellQuote(ui.username)],
    UI_PASSWORD: [{ secret: ui.password.secret, as: "shell" }],
  };
}

/** Named as database.sh and migrate.py look for them. */
export function externalDatabase({
  config: { database },
  saltFingerprint,
}: PlanContext): Record<string, FilePlan> {
  if (database.mode !== "external") return {};
  const certificates = secretsOf(database.tls).map(({ name, path }) => [
    `database-${path.slice(1)}.pem`,
    configFile({ secret: name, as: "raw" }),
  ]);
  return { "salt-fingerprint": configFile(saltFingerprint), ...Object.fromEntries(certificates) };
}

export function databaseUrl(context: PlanContext): TextPart[] {
  const { url } = context.config.database;
  if (url) return [{ secret: url.secret, as: "shell" }];
  return ["'postgresql://litellm:", { secret: "databasePassword", as: "url" }, "@database:5432/litellm'"];
}

/** What a migration reads, for a cluster, where it runs beside the gateways. */
export function migrationFiles(context: PlanContext): Record<string, FilePlan> {
  return {
    "gateway.env": envFile({ DATABASE_URL: databaseUrl(context) }),
    ...assetFiles(context, {
      "migrate.py": "gateway/migrate.py",
      "migrate.sh": "gateway/migrate.sh",
      "database.sh": "gateway/database.sh",
      "await_schema.py": "kubernetes/await_schema.py",
    }),
    ...externalDatabase(context),
  };
}
