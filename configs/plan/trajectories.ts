import type { MountPlan, WritableDirectoryPlan } from "../kit/containerPlan";
import type { FilePlan } from "../kit/text";
import { configFile, stableJson } from "../kit/text";
import { type TrajectoriesConfig, trajectoriesSchema } from "../schema/gateway";
import { assetFiles, type PlanContext } from "./context";

/** Where a gateway writes its log, in the container. */
const INSIDE = "/var/log/gpubox";

/** The callback's files, side by side in the directory of LiteLLM's config, which is where LiteLLM looks for it. */
export const TRAJECTORY_ASSETS: Record<string, string> = Object.fromEntries(
  [
    "gpubox_trajectory",
    ...[
      "call",
      "config",
      "file",
      "gap",
      "install",
      "line",
      "metrics",
      "recorder",
      "redact",
      "store",
      "stream",
      "time",
    ].map((part) => `trajectory_${part}`),
  ].map((module) => [`${module}.py`, `trajectory/${module}.py`]),
);

/** The log, as LiteLLM's `callbacks` name it. */
export const TRAJECTORY_CALLBACK = "gpubox_trajectory.instance";

/** What trajectory.json says. `job` names a job's gateway, `file` is a path in the container. */
export interface TrajectorySettings extends TrajectoriesConfig {
  /** `{host}` and `{generation}` are filled in there, so that each container has files of its own. */
  file: string;
  job?: string;
}

/** The callback and its settings. */
export function trajectoryFilesOf(
  context: PlanContext,
  { file, job, onLogFailure, rotateMiB, compress }: TrajectorySettings,
): Record<string, FilePlan> {
  const settings = { file, job, onLogFailure, compress, rotateBytes: rotateMiB * 1024 ** 2 };
  return {
    ...assetFiles(context, TRAJECTORY_ASSETS),
    "trajectory.json": configFile(`${stableJson(settings)}\n`),
  };
}

/** The main gateway's; none where it logs nothing. */
export function trajectoryFiles(context: PlanContext): Record<string, FilePlan> {
  const settings = settingsOf(context);
  if (!settings) return {};
  const file = `${INSIDE}/{generation}-{host}/litellm-trajectory.jsonl`;
  return trajectoryFilesOf(context, { ...settings, file });
}

export function trajectoryMount(context: PlanContext): MountPlan[] {
  if (!settingsOf(context)) return [];
  return [{ kind: "directory", source: hostDirectory(context), target: INSIDE, readOnly: false }];
}

/** @param uid the gateway's user and group */
export function trajectoryDirectory(context: PlanContext, uid: number): WritableDirectoryPlan[] {
  const settings = settingsOf(context);
  if (!settings) return [];
  const { group } = settings;
  return [
    {
      path: hostDirectory(context),
      uid,
      gid: group ?? uid,
      ...(group === undefined ? {} : { sharesGroup: true }),
    },
  ];
}

/** One for all generations: they come and go, their logs stay. */
function hostDirectory({ dataDir }: PlanContext): string {
  return `${dataDir}/trajectories`;
}

function settingsOf({ config }: PlanContext): TrajectoriesConfig | undefined {
  const { trajectories } = config.gateway;
  if (trajectories === false) return undefined;
  return trajectories === true ? trajectoriesSchema.parse({}) : trajectories;
}
