import type { ServicePlan } from "../kit/containerPlan";
import { configFile, directory } from "../kit/text";
import { assetFiles, container, health, type PlanContext } from "./context";

/** uid and gid of `redis` in the official Debian image; the recipe uses the same. */
const REDIS = 999;

/**
 * Redis for the gateways' shared state and cached answers. Its loss loses no data that anybody keeps: nothing is written to
 * disk.
 */
export function planCache(context: PlanContext): ServicePlan | undefined {
  const { cache } = context.config;
  if (cache.mode !== "bundled") return undefined;
  const { memoryMiB } = cache;
  const name = "cache";
  const secret = "cachePassword";
  const files = directory(
    `${context.dataDir}/${name}`,
    REDIS,
    {
      "redis.conf": configFile(
        "bind * -::*\nport 6379\nprotected-mode yes\nrequirepass ",
        { secret, as: "redis" },
        `\nsave ""\nappendonly no\nmaxmemory ${Math.floor(memoryMiB * 0.75)}mb\nmaxmemory-policy allkeys-lru\n`,
      ),
      password: configFile({ secret, as: "raw" }),
      ...assetFiles(context, { "health.sh": "cache/health.sh", "heal.sh": "health/heal.sh" }),
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
        role: name,
        entrypoint: ["redis-server"],
        command: ["/etc/gpubox/redis.conf"],
        user: `${REDIS}:${REDIS}`,
        networks: { data: [name] },
        mounts: [{ kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true }],
        memoryMiB,
        // As PID 1, nobody in its container could end it.
        init: true,
        health: { ...health("CMD", "sh", "/etc/gpubox/health.sh"), timeoutSeconds: 10 },
        readySeconds: 60,
        stopGraceSeconds: 60,
      },
      files.hash,
    ),
  };
}
