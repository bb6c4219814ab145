import { z } from "zod";
import { gatewayYaml } from "../configs/plan/gatewayYaml";
import type { BoxPlan } from "../configs/plan/types";
import { inGateway, requireGateway } from "./gatewayExec";
import { UserError } from "./process";

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
 * @throws UserError where nothing is cached, or not in Redis
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
 * Removes every cached answer, and nothing else: limits and the router's state stay. Returns how many there were.
 *
 * @throws UserError where there is no cache of answers, or it cannot be reached
 */
export async function clearAnswers(box: BoxPlan, projectDir: string): Promise<number> {
  const namespace = answersNamespace(box);
  const gateway = await requireGateway(box);
  const result = await inGateway({ box, projectDir, gateway }, "clear_cache.py", {
    GPUBOX_NAMESPACE: namespace,
  });
  if (result.code !== 0)
    throw new UserError(
      `Redis did not do it: ${result.stderr.trim().split("\n").at(-1)}.`,
      `Run \`npm run doctor -- --stack ${box.stack}\`.`,
    );
  return removed.parse(JSON.parse(result.stdout)).removed;
}
