import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Draft, Entry } from "./draft";
import { type GivenGpus, giveGpus, type HostGpus } from "./gpus";
import type { Input } from "./input";
import { deviceOf } from "./serverContainer";

const texts = z.array(z.union([z.string(), z.number()]).transform(String));

interface Place {
  entry: Entry;
  /** The entry's path in the stack config. */
  to: string;
  draft: Draft;
  host: HostGpus;
}

/** Gives an entry the GPUs of its service, of whichever vendor. */
export function giveAccelerators(service: Input, { entry, to, draft, host }: Place): void {
  const nvidia = gpusOf(service, to);
  if (nvidia) {
    giveGpus(entry, nvidia, draft, host, to);
    return;
  }
  const vendor = vendorOf(service);
  if (vendor === undefined) return;
  for (const one of service.at("devices")?.children() ?? [])
    if (/^\/dev\/(kfd|dri)/.test(deviceOf(one))) one.carry(`${to}.gpu`);
  giveGpus(entry, visibleOf(service, entry, to) ?? { count: "all" }, draft, undefined, to, vendor);
  if (/vulkan/.test(imageText(service)) && entry.engine === "llamacpp") entry.variant = "vulkan";
  readGroups(service.at("group_add"), draft);
}

function imageText(service: Input): string {
  return String(service.at("image")?.value ?? "").toLowerCase();
}

/** The vendor of the GPUs whose device files a service has; undefined without any. */
function vendorOf(service: Input): "amd" | "intel" | undefined {
  const devices = (service.at("devices")?.children() ?? []).map(deviceOf);
  if (devices.includes("/dev/kfd")) return "amd";
  if (!devices.some((path) => path.startsWith("/dev/dri"))) return undefined;
  return /intel|sycl|xpu|ipex/.test(imageText(service)) ? "intel" : "amd";
}

const VISIBLE = [
  "ROCR_VISIBLE_DEVICES",
  "HIP_VISIBLE_DEVICES",
  "GGML_VK_VISIBLE_DEVICES",
  "ZE_AFFINITY_MASK",
];

function visibleOf(service: Input, entry: Entry, to: string): GivenGpus {
  const found = VISIBLE.flatMap((name) => service.at("environment", name) ?? []);
  const env = (entry.env ?? {}) as Record<string, unknown>;
  for (const one of found) {
    one.carry(`${to}.gpu.devices`);
    delete env[one.name];
  }
  if (Object.keys(env).length === 0) delete entry.env;
  const ids = String(found[0]?.value ?? "");
  return /^\d+(,\d+)*$/.test(ids) ? { ids: ids.split(",") } : undefined;
}

/** Numbers of the groups that own device files, by this machine's own names for them. */
function readGroups(groups: Input | undefined, draft: Draft): void {
  const here = groupsHere();
  const found = (groups?.children() ?? []).flatMap((one) => {
    const number = /^\d+$/.test(String(one.value)) ? Number(one.value) : here.get(String(one.value));
    if (number === undefined)
      one.lose("this machine has no group of that name: write its number in host.gpuGroups");
    else one.carry("gpubox:host.gpuGroups");
    return number ?? [];
  });
  const usual = ["video", "render"].flatMap((name) => here.get(name) ?? []);
  const before = (draft.sections.host?.gpuGroups ?? []) as number[];
  const all = [...new Set([...before, ...(found.length > 0 ? found : usual)])];
  const path = draft.set("host", ["gpuGroups"], all.length > 0 ? all : [44, 992]);
  draft.remark(path, "Compare it with what stat -c %g /dev/kfd /dev/dri/renderD128 prints on the host.");
}

function groupsHere(): Map<string, number> {
  try {
    const lines = readFileSync("/etc/group", "utf8").split("\n");
    return new Map(lines.map((line) => line.split(":")).map(([name = "", , id]) => [name, Number(id)]));
  } catch {
    return new Map();
  }
}

const device = z.looseObject({
  driver: z.string().optional(),
  count: z.union([z.number(), z.string()]).optional(),
  device_ids: texts.optional(),
  capabilities: z.array(z.unknown()).optional(),
});

/** The GPUs of a service, in every form that Compose has for it. */
function gpusOf(service: Input, to: string): GivenGpus {
  const runtime = service.at("runtime");
  if (runtime?.value === "nvidia") runtime.carry(`${to}.gpu`);
  const reserved = service.at("deploy", "resources", "reservations", "devices");
  const first = reserved?.at(0)?.read(device);
  if (first) {
    reserved!.carry(`${to}.gpu`);
    if (first.device_ids) return named(first.device_ids);
    return { count: typeof first.count === "number" ? first.count : countOf(first.count) };
  }
  const gpus = service.at("gpus");
  if (gpus) {
    gpus.carry(`${to}.gpu`);
    const listed = gpus.at(0)?.read(device);
    if (listed?.device_ids) return named(listed.device_ids);
    return { count: countOf(String(listed?.count ?? gpus.value)) };
  }
  if (service.at("runtime")?.value !== "nvidia") return undefined;
  service.at("runtime")!.carry(`${to}.gpu`);
  const env = service.at("environment");
  const visible = env?.at("CUDA_VISIBLE_DEVICES") ?? env?.at("NVIDIA_VISIBLE_DEVICES");
  const ids = String(visible?.value ?? "all");
  visible?.carry(`${to}.gpu.devices`);
  return named(ids.split(","));
}

/** GPUs by their ids, also as the Container Device Interface names them: `nvidia.com/gpu=0`. */
function named(ids: string[]): GivenGpus {
  const own = ids.map((id) => id.replace(/^nvidia\.com\/gpu=/, ""));
  return own.includes("all") ? { count: "all" } : { ids: own };
}

function countOf(text: string | undefined): number | "all" {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : "all";
}
