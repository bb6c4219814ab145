import { engineAddress } from "../../configs/network/engine";
import type { GpuAccess } from "../../configs/schema/host";
import type { StackConfig } from "../../configs/stack/config";
import { cdiGpus } from "../../platform/docker/cdi";
import { dockerAt, labelFilters } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { rememberGpuAccess } from "../../platform/stack/stackConfig";

/** What a host offers and has. */
export interface GpuWays {
  /** NVIDIA's devices that the config declares: indexes and UUIDs. */
  declared: string[];
  /** Those that the engine knows by CDI. */
  cdi: string[];
  /** What the config says. */
  says: GpuAccess | undefined;
  /** A container of the stack runs with a GPU of NVIDIA's hook. */
  hookRuns: boolean;
}

/**
 * Decides how NVIDIA's GPUs reach a box's containers, at its first `up` and never again by itself: another way replaces every
 * server on a GPU, which a preview has to show.
 *
 * @throws UserError where the config says `cdi` and the engine does not know the devices by it
 */
export function chooseGpuAccess({ declared, cdi, says, hookRuns }: GpuWays): GpuAccess {
  const unknown = declared.filter((id) => !cdi.includes(id));
  if (says === "cdi" && unknown.length > 0)
    throw new UserError(
      `gpubox:host.gpuAccess is cdi, and the Docker engine knows no CDI device ${unknown.join(", ")}${cdi.length > 0 ? `, but ${cdi.join(", ")}` : ""}.`,
      "Run `gpubox host prepare`, which describes the GPUs for Docker 25 and newer, or write gpuAccess: hook.",
    );
  if (says) return says;
  return hookRuns || unknown.length > 0 ? "hook" : "cdi";
}

/** Settles it for a stack, and writes it into the stack's file. Does nothing without a GPU of NVIDIA. */
export async function settleGpuAccess(projectDir: string, config: StackConfig, log: Log): Promise<void> {
  const declared = config.host.gpus.filter(({ vendor }) => vendor === "nvidia").map(({ id }) => String(id));
  if (declared.length === 0) return;
  const says = config.host.gpuAccess;
  const docker = engineAddress(config);
  const cdi = await cdiGpus(docker);
  const hookRuns = says === undefined && (await runsByHook(docker, config.stack));
  const access = chooseGpuAccess({ declared, cdi, says, hookRuns });
  const could = access === "hook" && declared.every((id) => cdi.includes(id));
  log(
    access === "cdi"
      ? "  GPUs of NVIDIA reach containers by CDI"
      : `  GPUs of NVIDIA reach containers by NVIDIA's hook${could ? "; gpubox:host.gpuAccess: cdi would do without it" : ""}`,
  );
  if (says === undefined) rememberGpuAccess(projectDir, config.stack, access);
}

async function runsByHook(docker: string, stack: string): Promise<boolean> {
  const requests = "{{range .HostConfig.DeviceRequests}}{{.Driver}} {{end}}";
  const ids = await dockerAt(docker).lines(["ps", "-aq", ...labelFilters([`gpubox.stack=${stack}`])]);
  if (ids.length === 0) return false;
  const { stdout } = await dockerAt(docker).run(["inspect", "--format", requests, ...ids]);
  return /\bnvidia\b/.test(stdout);
}
