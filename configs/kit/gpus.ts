import type { GpuAccess, HostConfig } from "../schema/host";
import type { GpuRequest } from "./containerPlan";

/** What Docker calls NVIDIA's devices in CDI, the Container Device Interface. */
export const CDI_KIND = "nvidia.com/gpu";

/** A request for devices, as Docker's API and Compose have it. */
export interface DeviceRequest {
  driver: "nvidia" | "cdi";
  ids: string[];
}

/** A plan's request for NVIDIA's devices. */
export function nvidiaGpus(ids: string[], access: GpuAccess | undefined): GpuRequest {
  return { vendor: "nvidia", ids, ...(access === "cdi" ? { by: access } : {}) };
}

/**
 * What the engine is asked for. `nvidia` is NVIDIA's hook alone, on every engine before 29; `cdi` names devices of the host's CDI
 * description, which needs no hook. Undefined without NVIDIA's devices: the others' are device files.
 */
export function deviceRequest(gpu: GpuRequest | undefined): DeviceRequest | undefined {
  if (gpu?.vendor !== "nvidia") return undefined;
  if (gpu.by !== "cdi") return { driver: "nvidia", ids: gpu.ids };
  return { driver: "cdi", ids: gpu.ids.map(cdiName) };
}

/** A device's name in CDI, for example `nvidia.com/gpu=0`. */
export function cdiName(id: string): string {
  return `${CDI_KIND}=${id}`;
}

/** How NVIDIA's GPUs reach a host's containers, as a sentence; undefined without one. */
export function accessWords({ gpus, gpuAccess }: HostConfig): string | undefined {
  if (!gpus.some(({ vendor }) => vendor === "nvidia")) return undefined;
  const by = gpuAccess === "cdi" ? "by CDI" : "by NVIDIA's runtime hook";
  const until = gpuAccess ? "" : ", unless the first `gpubox up` finds that Docker knows them by CDI";
  return `NVIDIA's GPUs reach containers ${by}${until} (gpubox:host.gpuAccess).`;
}
