import type { StackConfig } from "../../configs/stack/config";
import { within } from "../../platform/within";

/** In milliseconds. A slower hub would not deliver gigabytes either. */
const PROBE_TIMEOUT_MS = 5000;

/** Whether a stack's model hub answers. */
export async function modelHubAnswers(hub: string): Promise<boolean> {
  try {
    const answer = await within(PROBE_TIMEOUT_MS, (signal) => fetch(hub, { method: "HEAD", signal }));
    return answer.status < 500;
  } catch {
    return false;
  }
}

/**
 * Names of the models that their offline stand-in serves. A model that once came from the hub stays with it: its file
 * is on the host, and an outage of the hub must not change what answers.
 *
 * @param before names that were offline at the last `up`; undefined at the first one
 * @param known names that the last `up` knew
 */
export function offlineModels(
  config: StackConfig,
  hubAnswers: boolean,
  before: { offline: string[]; known: string[] } | undefined,
): string[] {
  if (hubAnswers) return [];
  return Object.entries(config.models)
    .filter(
      ([, model]) => model.engine === "llamacpp" && model.offlineModel && model.model.startsWith("hf://"),
    )
    .map(([name]) => name)
    .filter((name) => before?.offline.includes(name) || !before?.known.includes(name));
}
