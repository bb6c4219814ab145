import type { ModelConfig } from "../../configs/engines";
import type { FilePlan } from "../../configs/kit/text";
import { configFile, hashOf } from "../../configs/kit/text";
import { modelBodyBytes } from "../../configs/plan/bodyLimits";
import { assetFiles, type PlanContext } from "../../configs/plan/context";
import { JOB_EDGE_ASSETS, jobEdgeConfig, jobEdgeKeys } from "../../configs/plan/haproxy/jobEdge";
import type { JobConfig } from "../../configs/schema/jobs";

/** Directory in a job's folder that its edge reads. */
export const EDGE_FOLDER = "edge";

/** Seconds after the last try until the edge gives up on the gateway. */
const SILENCE_MARGIN_SECONDS = 60;

/** Name of a job's gateway on its network. A job's own name may contain dots and be too long for DNS. */
export function gatewayAlias(job: string): string {
  return `job-${hashOf(job)}`;
}

/** The files of a job's edge, for its directory in the job's folder. */
export function edgeFiles(
  context: PlanContext,
  { name, job }: { name: string; job: JobConfig },
  entry: { name: string; model: ModelConfig },
  { key, stopSeconds }: { key: string; stopSeconds: number },
): Record<string, FilePlan> {
  const files = {
    "haproxy.cfg": configFile(
      ...jobEdgeConfig({
        gateway: gatewayAlias(name),
        bodyBytes: modelBodyBytes(context, entry.name, entry.model),
        silence: job.timeoutSeconds * (job.retries + 1) + SILENCE_MARGIN_SECONDS,
        drain: stopSeconds,
      }),
    ),
    "keys.map": configFile(...jobEdgeKeys(key)),
    ...assetFiles(context, JOB_EDGE_ASSETS),
  };
  return Object.fromEntries(Object.entries(files).map(([file, plan]) => [`${EDGE_FOLDER}/${file}`, plan]));
}
