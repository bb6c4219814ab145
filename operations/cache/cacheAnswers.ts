import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { awaitHealthy } from "../../configs/kit/steps";
import type { BoxPlan } from "../../configs/kit/types";
import { gatewayYaml } from "../../configs/plan/gatewayYaml";
import { edgeGateways } from "../../platform/box/edge";
import { inGateway, requireGateway } from "../../platform/box/gateway";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";

const settings = z.object({
  litellm_settings: z.object({
    cache: z.boolean().optional(),
    cache_params: z.object({ type: z.string(), namespace: z.string().optional() }).optional(),
  }),
});

const removed = z.object({ removed: z.number() });

/**
 * Where a stack's gateways keep answers: the namespace of their keys in Redis.
 *
 * @throws UserError when nothing is cached, or not in Redis
 */
export function answersNamespace(box: BoxPlan): string {
  const { cache, cache_params } = settings.parse(gatewayYaml(box)).litellm_settings;
  if (!cache || !cache_params)
    throw new UserError(
      `The stack ${box.stack} caches no answers.`,
      "Set gpubox:cache.ttlSeconds if it should; otherwise there is nothing to clear.",
    );
  if (cache_params.type !== "redis")
    throw new UserError(
      `The stack ${box.stack} keeps its answers in ${cache_params.type}, not in Redis.`,
      "Clear them there.",
    );
  return cache_params.namespace ?? "";
}

/**
 * Removes every answer from Redis and nothing else: limits and the router's state stay. Returns the number of answers.
 * Gateways also cache some in memory: see {@link restartGateways}.
 *
 * @throws UserError when there is no cache of answers, or when it cannot be reached
 */
export async function clearAnswers(box: BoxPlan): Promise<number> {
  const namespace = answersNamespace(box);
  const gateway = await requireGateway(box);
  const result = await inGateway({ box, gateway }, "clear_cache.py", {
    GPUBOX_NAMESPACE: namespace,
  });
  if (result.code !== 0)
    throw new UserError(
      `Redis refused: ${result.stderr.trim().split("\n").at(-1)}.`,
      `Run \`gpubox doctor --stack ${box.stack}\`.`,
    );
  return removed.parse(JSON.parse(result.stdout)).removed;
}

/** The edge gets this many seconds to notice a healthy gateway. */
const NOTICED_SECONDS = 60;

/**
 * Restarts the serving gateways one after another, each after its requests have finished. LiteLLM keeps a copy of its
 * last 200 answers in each process, for as long as in Redis, and has no route that forgets them (caching_handler.py,
 * in_memory_cache_obj). While the only gateway restarts, the edge holds requests.
 *
 * @throws UserError when one does not come back
 */
export async function restartGateways(box: BoxPlan, log: Log): Promise<number> {
  const serving = ((await edgeGateways(box)) ?? []).filter(({ state }) => state === "serving");
  const docker = dockerAt(box.docker);
  for (const { gateway } of serving) {
    const { stopGraceSeconds, readySeconds, health } = box.gateway.container;
    log(`restarting ${gateway} after its requests have finished`);
    await docker.output(["restart", "--time", String(stopGraceSeconds), gateway]);
    const healthy = await docker.script(awaitHealthy(health.test), {
      env: {
        GPUBOX_CONTAINER: gateway,
        GPUBOX_NAME: gateway,
        GPUBOX_SECONDS: String(readySeconds),
      },
    });
    if (healthy.code !== 0 || !(await servesAgain(box, gateway)))
      throw new UserError(
        `${gateway} did not come back: ${healthy.stderr.trim() || "the edge does not see it"}.`,
        `Run \`gpubox doctor --stack ${box.stack}\`.`,
      );
  }
  return serving.length;
}

async function servesAgain(box: BoxPlan, gateway: string): Promise<boolean> {
  for (let attempt = 0; attempt < NOTICED_SECONDS; attempt++) {
    const slots = await edgeGateways(box);
    if (slots?.some((slot) => slot.gateway === gateway && slot.state === "serving")) return true;
    await sleep(1000);
  }
  return false;
}
