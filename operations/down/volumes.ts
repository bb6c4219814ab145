import { rootScript } from "../../configs/kit/hostFiles";
import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import { dockerAt } from "../../platform/docker/client";
import type { Log } from "../../platform/project";

/** Services that keep data in a volume. `down` deletes one only when a person names it. */
export const VOLUMES = ["database", "prometheus", "alertmanager", "grafana"];

/**
 * Deletes a service's volume, so that the next `up` starts with an empty one. For the database that includes the marker
 * that it existed.
 */
export async function removeVolume(plan: BoxPlan, name: string, log: Log): Promise<void> {
  const service = servicesOf(plan).find(({ container }) => container.name === name);
  if (!service?.volume) return;
  const docker = dockerAt(plan.docker);
  await docker.output(["volume", "rm", "-f", service.volume.name]);
  for (const { path } of service.writable) {
    const script = rootScript(plan.edge.container.image, plan.dataDir, 'rm -rf "$1"', [path]);
    await docker.scriptOutput(script);
  }
  log(`  deleted the volume ${service.volume.name}`);
}
