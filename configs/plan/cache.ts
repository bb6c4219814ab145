import { container, health, type PlanContext } from "./context";
import { configFile, directory } from "./text";
import type { ServicePlan } from "./types";

/** uid and gid of `redis` in the official Debian image; the recipe uses the same. */
const REDIS = 999;

/** Redis for the gateways' shared state and cached answers. Losing it loses no data, so nothing is written to disk. */
export function planCache(context: PlanContext): ServicePlan | undefined {
  const { cache } = context.config;
  if (cache.mode !== "bundled") return undefined;
  const password = { secret: "cachePassword" } as const;
  const files = directory(
    `${context.dataDir}/cache`,
    REDIS,
    {
      "redis.conf": configFile(
        "bind * -::*\nport 6379\nprotected-mode yes\nrequirepass ",
        { ...password, as: "redis" },
        `\nsave ""\nappendonly no\nmaxmemory ${Math.floor(cache.memoryMiB * 0.75)}mb\nmaxmemory-policy allkeys-lru\n`,
      ),
      password: configFile({ ...password, as: "raw" }),
    },
    context.secrets,
  );
  return {
    directory: files,
    writable: [],
    container: container(
      context,
      {
        name: "cache",
        role: "cache",
        entrypoint: ["redis-server"],
        command: ["/etc/gpubox/redis.conf"],
        user: `${REDIS}:${REDIS}`,
        networks: { data: ["cache"] },
        mounts: [{ kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true }],
        memoryMiB: cache.memoryMiB,
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
