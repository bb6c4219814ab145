import { configFile, directory, type SecretPart } from "../kit/text";
import type { NetworkRole, ServicePlan } from "../kit/types";
import { container, health, type PlanContext } from "./context";

/** uid and gid of `redis` in the official Debian image; the recipe uses the same. */
const REDIS = 999;

/** Redis for the gateways' shared state and cached answers. */
export function planCache(context: PlanContext): ServicePlan | undefined {
  const { cache } = context.config;
  if (cache.mode !== "bundled") return undefined;
  const secret = "cachePassword";
  return planRedis(context, {
    name: "cache",
    password: { secret, as: "raw" },
    quotedPassword: { secret, as: "redis" },
    network: "data",
    memoryMiB: cache.memoryMiB,
    whenFull: "allkeys-lru",
  });
}

interface RedisChoices {
  /** Of the container, and on its network. */
  name: string;
  password: SecretPart;
  /** The same, as a word of redis.conf. */
  quotedPassword: SecretPart;
  network: NetworkRole;
  memoryMiB: number;
  /** Redis' `maxmemory-policy`. */
  whenFull: "allkeys-lru" | "noeviction";
}

/** A Redis whose loss loses no data that anybody keeps: nothing is written to disk. */
export function planRedis(context: PlanContext, choices: RedisChoices): ServicePlan {
  const { memoryMiB, name, network, password, quotedPassword, whenFull } = choices;
  const files = directory(
    `${context.dataDir}/${name}`,
    REDIS,
    {
      "redis.conf": configFile(
        "bind * -::*\nport 6379\nprotected-mode yes\nrequirepass ",
        quotedPassword,
        `\nsave ""\nappendonly no\nmaxmemory ${Math.floor(memoryMiB * 0.75)}mb\nmaxmemory-policy ${whenFull}\n`,
      ),
      password: configFile(password),
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
        role: "cache",
        entrypoint: ["redis-server"],
        command: ["/etc/gpubox/redis.conf"],
        user: `${REDIS}:${REDIS}`,
        networks: { [network]: [name] },
        mounts: [{ kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true }],
        memoryMiB,
        health: health(
          "CMD-SHELL",
          'REDISCLI_AUTH="$(cat /etc/gpubox/password)" redis-cli ping | grep -q PONG',
        ),
        readySeconds: 60,
        stopGraceSeconds: 60,
      },
      files.hash,
    ),
  };
}
