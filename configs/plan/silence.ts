import type { StackConfig } from "../stack/config";
import { boxModel } from "../stack/jobUpstream";
import { SILENCE_MINUTES } from "./haproxy/common";

/** Seconds that edge and valves wait longer than LiteLLM, so that clients get its answer and its reason. */
const MARGIN_SECONDS = 30;

/** Seconds that the edge lets a gateway be silent over one request; undefined: as long as by default. */
export function edgeSilence({ gateway: { routing, passThrough }, models }: StackConfig): number | undefined {
  return silenceFor([
    routing.timeoutSeconds,
    routing.streamTimeoutSeconds,
    ...Object.values({ ...models, ...passThrough }).map(({ timeoutSeconds }) => timeoutSeconds),
  ]);
}

/** Seconds that a model's valve lets its backend be silent over one request; undefined: as long as by default. */
export function valveSilence({ gateway, models, jobs }: StackConfig, entry: string): number | undefined {
  const ofJobs = Object.values(jobs)
    .filter(({ upstream }) => "box" in upstream && boxModel(models, upstream.box)?.entry === entry)
    .map(({ timeoutSeconds }) => timeoutSeconds);
  return silenceFor([models[entry]?.timeoutSeconds ?? gateway.routing.timeoutSeconds, ...ofJobs]);
}

function silenceFor(timeouts: (number | undefined)[]): number | undefined {
  const longest = Math.max(...timeouts.map((seconds) => seconds ?? 0));
  return longest > SILENCE_MINUTES * 60 ? longest + MARGIN_SECONDS : undefined;
}
