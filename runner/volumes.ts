import { onHost } from "../configs/plan/hostFiles";
import type { BoxPlan } from "../configs/plan/types";
import { output } from "./process";
import type { Log } from "./project";

/** Deletes the database's volume and the marker that says there was one, so that the next `up` begins with an empty one. */
export async function removeVolume(plan: BoxPlan, log: Log): Promise<void> {
  const { database } = plan;
  if (!database?.volume) return;
  await output("docker", ["-H", plan.docker, "volume", "rm", "-f", database.volume.name]);
  for (const { path } of database.writable) {
    const script = onHost(plan.edge.container.image, plan.dataDir, 'rm -rf "$1"', [path]);
    await output("sh", ["-c", script], { env: { DOCKER_HOST: plan.docker } });
  }
  log(`  deleted the volume ${database.volume.name}`);
}
