import { directoryInput, makeWritable, rootScript, writeDirectory } from "../../configs/kit/hostFiles";
import type { SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { type DockerClient, dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import type { StateResource } from "../../platform/pulumi/state";
import { collectDrift } from "./collect";
import { drift } from "./drift";
import { planRepairs } from "./repairs";

/** A container gets this many seconds to stop, because it may be a database with an open volume. */
const STOP_SECONDS = "60";

/**
 * Repairs what a refresh of the state cannot see, before Pulumi converges: files, rights, and strangers in the place of
 * the box's own containers. Logs a line for each repair.
 *
 * @returns options for `pulumi up` with the resources to replace, in its own order
 * @throws UserError when the host refuses a step
 */
export async function repairDrift(options: {
  box: BoxPlan;
  /** What the stack's state knows. */
  resources: StateResource[];
  secrets: SecretValues;
  log: Log;
}): Promise<string[]> {
  const { box, resources, secrets, log } = options;
  if (!resources.some(({ type }) => type === "docker:index/container:Container")) return [];
  const facts = await collectDrift({ box, gpus: [], secrets });
  const repairs = planRepairs(box, facts, drift(box, facts), resources);
  for (const what of repairs.said) log(`  repairs: ${what}`);

  const docker = dockerAt(box.docker);
  for (const id of repairs.unpause) await docker.output(["unpause", id]);
  for (const { container, processes } of repairs.limits)
    await docker.output(["update", "--pids-limit", String(processes), container]);
  for (const id of repairs.remove) {
    await docker.output(["stop", "--time", STOP_SECONDS, id]);
    await docker.output(["rm", "--force", id]);
  }
  for (const network of repairs.networks) await removeNetwork(docker, network);
  const { dataDir } = box;
  const image = box.edge.container.image;
  if (repairs.clear.length > 0)
    await step(box, "clear", rootScript(image, dataDir, 'rm -rf -- "$@"', repairs.clear));
  for (const directory of repairs.write)
    await step(
      box,
      directory.path,
      writeDirectory(image, dataDir, directory),
      directoryInput(directory, secrets),
    );
  for (const one of repairs.make) await step(box, one.path, makeWritable(image, dataDir, one));
  return repairs.replace.flatMap((urn) => ["--replace", urn]);
}

/** Disconnects every container first, as Docker requires. Pulumi replaces those containers. */
async function removeNetwork(docker: DockerClient, network: string): Promise<void> {
  const format = "{{range $id, $_ := .Containers}}{{$id}} {{end}}";
  const members = await docker.output(["network", "inspect", "--format", format, network]);
  for (const id of members.split(" ").filter(Boolean))
    await docker.output(["network", "disconnect", "--force", network, id]);
  await docker.output(["network", "rm", network]);
}

async function step({ docker }: BoxPlan, what: string, script: string, stdin?: string): Promise<void> {
  const { code, stderr } = await dockerAt(docker).script(script, { stdin });
  if (code !== 0)
    throw new UserError(
      `${what} could not be restored: ${stderr.trim().split("\n").at(-1)}.`,
      "Check the host's disk and rights, then run `gpubox up` again.",
    );
}
