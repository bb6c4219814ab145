import { acceleratorOf } from "../../configs/engines/devices";
import type { Failure } from "../../configs/kit/problems";
import type { StackConfig } from "../../configs/stack/config";
import type { DeviceFiles, Place } from "./ground";

/** AMD's device file for computing; a Vulkan server does without. */
const KFD = "/dev/kfd";

/** Whether a model computes by ROCm, which opens `/dev/kfd`. */
export function computesByKfd({ models, host }: StackConfig): boolean {
  return Object.values(models).some(
    (model) =>
      "gpu" in model &&
      acceleratorOf(model.gpu, host).kind === "amd" &&
      !("variant" in model && model.variant === "vulkan"),
  );
}

/**
 * Why containers would find no GPU of AMD or Intel that the stack's file declares: no driver, other groups, fewer
 * devices. Empty where it declares none.
 */
export function unfitDevices({ files, gfx }: DeviceFiles, { name, host, computesByKfd }: Place): Failure[] {
  const declared = host.gpus.filter(({ vendor }) => vendor === "amd" || vendor === "intel");
  if (declared.length === 0) return [];
  const vendor = declared.every((gpu) => gpu.vendor === "intel") ? "Intel" : "AMD";
  const lacks = (path: string) => !files.some((file) => file.path.startsWith(path));
  const missing = lacks("/dev/dri/") ? "/dev/dri/renderD*" : computesByKfd && lacks(KFD) ? KFD : undefined;
  if (missing)
    return [
      {
        what: `The file declares a GPU of ${vendor}, and ${name} has no ${missing}: its kernel has no driver for one.`,
        fix:
          vendor === "AMD"
            ? "Look at `sudo dmesg | grep -i amdgpu` there: the firmware (`firmware-amd-graphics`, `linux-firmware`) or a newer kernel is missing; then reboot."
            : "Look at `sudo dmesg | grep -i -e i915 -e xe` there: the firmware (`firmware-misc-nonfree`, `linux-firmware`) or a newer kernel is missing; then reboot.",
      },
    ];
  const used = files.filter(({ path }) => path !== KFD || computesByKfd);
  const closed = used.filter(({ group }) => group !== undefined && !host.gpuGroups.includes(group));
  if (closed.length > 0)
    return [
      {
        what: `Containers may not open ${closed.map(({ path }) => path).join(" and ")} on ${name}, of the group ${list(closed)}: gpubox:host.gpuGroups ${host.gpuGroups.length > 0 ? `is [${host.gpuGroups.join(", ")}]` : "is not set"}.`,
        fix: `Write gpubox:host.gpuGroups: [${list(used)}].`,
      },
    ];
  const last = Math.max(...declared.map(({ id }) => (typeof id === "number" ? id : -1)));
  if (vendor === "AMD" && computesByKfd && gfx.length > 0 && last >= gfx.length)
    return [
      {
        what: `The file declares a GPU ${last} of AMD, and the driver of ${name} knows ${gfx.length} (${gfx.join(", ")}), counted from 0.`,
        fix: "Correct gpubox:host.gpus; `rocminfo` in a container lists what is there.",
      },
    ];
  return [];
}

/** What a host has for GPUs of AMD and Intel, for a person to compare with a stack's file; undefined without one. */
export function deviceWords({ files, gfx, amdgpu, rocm }: DeviceFiles): string | undefined {
  if (files.length === 0) return undefined;
  const groups = list(files);
  const driver = amdgpu ? `AMD's driver ${amdgpu}` : "the kernel's driver";
  return [
    `GPUs of AMD or Intel: ${files.map(({ path }) => path).join(", ")}${groups ? `, gpuGroups: [${groups}]` : ""}.`,
    ...(gfx.length > 0 ? [`AMD's compute as ${gfx.join(", ")} by ${driver}.`] : []),
    ...(rocm ? [`ROCm ${rocm} of the host is not used: each image brings its own.`] : []),
  ].join(" ");
}

function list(files: DeviceFiles["files"]): string {
  const groups = files.flatMap(({ group }) => (group === undefined ? [] : [group]));
  return [...new Set(groups)].sort((one, other) => one - other).join(", ");
}
