/** The devices of an entry: which they are, how a container gets them, and what of them cannot be. */

import type { ContainerPlan } from "../kit/containerPlan";
import { nvidiaGpus } from "../kit/gpus";
import type { Problem } from "../kit/problems";
import type { GpuConfig } from "../schema/gpu";
import type { ModelGpu } from "../schema/gpuUse";
import type { HostConfig } from "../schema/host";

/** What an entry computes on. */
export interface Accelerator {
  kind: "nvidia" | "amd" | "intel" | "cpu";
  /** The declared devices, in the entry's order. */
  devices: GpuConfig[];
}

export function acceleratorOf(gpu: ModelGpu | undefined, host: HostConfig): Accelerator {
  const devices = (gpu?.devices ?? []).flatMap((id) => host.gpus.find((device) => device.id === id) ?? []);
  return { kind: devices[0]?.vendor ?? "cpu", devices };
}

/** `gpu.memoryGiB` as a share of the smallest of its devices, three digits, rounded down; undefined where it is not said. */
export function declaredShare(gpu: ModelGpu | undefined, host: HostConfig): number | undefined {
  if (!gpu?.memoryGiB) return undefined;
  const smallest = Math.min(...acceleratorOf(gpu, host).devices.map(({ memoryGiB }) => memoryGiB));
  return Math.floor((gpu.memoryGiB / smallest) * 1000) / 1000;
}

/** A container's part of a plan that gives it these devices, and no other. */
export function deviceAccess(
  gpu: ModelGpu | undefined,
  host: HostConfig,
): Pick<ContainerPlan, "gpu" | "devices" | "groupAdd" | "env"> {
  const { kind } = acceleratorOf(gpu, host);
  const ids = (gpu?.devices ?? []).map(String);
  switch (kind) {
    case "nvidia":
      return { gpu: nvidiaGpus(ids, host.gpuAccess), env: {} };
    case "amd":
      return {
        gpu: { vendor: kind, ids },
        devices: ["/dev/dri", "/dev/kfd"],
        groupAdd: host.gpuGroups.map(String),
        env: { ROCR_VISIBLE_DEVICES: ids.join(",") },
      };
    case "intel":
      return {
        gpu: { vendor: kind, ids },
        devices: ["/dev/dri"],
        groupAdd: host.gpuGroups.map(String),
        env: { ZE_AFFINITY_MASK: ids.join(",") },
      };
    case "cpu":
      // Images that ask for every GPU get none, also where NVIDIA's runtime is the engine's default.
      return {
        env: host.gpus.some(({ vendor }) => vendor === "nvidia") ? { NVIDIA_VISIBLE_DEVICES: "void" } : {},
      };
  }
}

const VENDORS = { nvidia: "NVIDIA", amd: "AMD", intel: "Intel", cpu: "CPU" };

/** Mistakes in the devices of an entry. `kinds`: what the engine has an image for. */
export function checkDevices(
  engine: string,
  gpu: ModelGpu | undefined,
  host: HostConfig,
  path: string,
  kinds: Accelerator["kind"][],
): Problem[] {
  if (!gpu)
    return kinds.includes("cpu")
      ? []
      : [{ path, what: `${engine} has no image for the CPU.`, fix: "Name its GPUs: gpu: { devices: [0] }." }];
  const declared = host.gpus.map(({ id }) => String(id));
  const unknown = gpu.devices.filter((id) => !declared.includes(String(id)));
  if (unknown.length > 0)
    return [
      {
        path: `${path}.gpu.devices`,
        what: `The host declares no device ${unknown.join(", ")}.`,
        fix:
          declared.length > 0
            ? `Use one of: ${declared.join(", ")}, or add it to gpubox:host.gpus.`
            : "Declare it: gpubox:host gpus: [{ id: 0, memoryGiB: 24 }].",
        judgedBy: { paths: ["gpubox:host.gpus"] },
      },
    ];
  const { kind, devices } = acceleratorOf(gpu, host);
  const problems: Problem[] = [];
  if (new Set(devices.map(({ vendor }) => vendor)).size > 1)
    problems.push({
      path: `${path}.gpu.devices`,
      what: "The devices are of two vendors.",
      fix: "Name devices of one vendor; each has images of its own.",
    });
  if (new Set(gpu.devices.map(String)).size < gpu.devices.length)
    problems.push({ path: `${path}.gpu.devices`, what: "A device stands twice.", fix: "Name each once." });
  if (!kinds.includes(kind))
    problems.push({
      path: `${path}.gpu`,
      what: `${engine} has no image for ${VENDORS[kind]} GPUs${host.arch === "arm64" ? " on arm64" : ""}.`,
      fix: "Use an engine that has one (llamacpp, vllm, ollama), or leave `gpu` out where the engine runs on the CPU.",
    });
  if ((kind === "amd" || kind === "intel") && host.gpuGroups.length === 0)
    problems.push({
      path: "gpubox:host.gpuGroups",
      what: `The groups of ${VENDORS[kind]}'s device files are not known, and a container without them finds no GPU.`,
      fix: `Write the numbers that stat -c %g ${kind === "amd" ? "/dev/kfd " : ""}/dev/dri/renderD128 prints on the host.`,
    });
  if (kind === "intel" && gpu.devices.some((id) => typeof id !== "number"))
    problems.push({
      path: `${path}.gpu.devices`,
      what: "Intel's GPUs are chosen by their index.",
      fix: "Write the indexes that `xpu-smi discovery` shows, in gpubox:host.gpus too.",
    });
  return problems;
}
