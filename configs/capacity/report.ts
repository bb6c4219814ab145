import { size } from "../kit/sizes";
import { table } from "../kit/table";
import { isLockable } from "../models/lock";
import type { DevicePlan } from "./allocation";
import { deviceName } from "./device";
import { explained } from "./lines";
import { gpuNotes } from "./notes";
import type { GpuPlan } from "./placement";

/** What `gpubox plan` prints: model, device, needs, share, left; then each backend that is started by hand. */
export function planText(plan: GpuPlan, options: { explain?: boolean } = {}): string {
  const parts = [
    deviceTable(plan.devices),
    ...plan.manual.map(({ backend, stops, running }) => {
      const stop = stops.length > 0 ? `stop ${stops.join(", ")} first` : "nothing has to stop";
      return `${backend} is started by hand; ${stop}. Its devices then:\n${deviceTable(running)}`;
    }),
    gpuNotes(plan).join("\n"),
    remarks([...plan.devices, ...plan.manual.flatMap(({ running }) => running)]),
    ...(options.explain ? plan.devices.flatMap(explanations) : []),
    ...plan.placements.concat(plan.manual).map(({ backend, knobs }) => {
      const flags = Object.entries(knobs.args).map((pair) => pair.join(" "));
      const env = Object.entries(knobs.env).map((pair) => pair.join("="));
      const config = Object.entries(knobs.config).map((pair) => `${pair[0]}: ${JSON.stringify(pair[1])}`);
      const settings = [...flags, ...env, ...config];
      return settings.length > 0 ? `${backend}: ${settings.join(", ")}` : "";
    }),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** The plan for programs: numbers in bytes; only the problems are text for people. */
export function planData({ devices, placements, manual, problems }: GpuPlan) {
  return { devices, placements, manual, problems };
}

function deviceTable(devices: DevicePlan[]): string {
  const rows = devices.flatMap((device) => {
    const name = deviceName(device.id).replace(/^device /, "");
    const tenants = device.tenants.map(({ backend, group, needBytes, shareBytes, declared }) => [
      group === undefined ? backend : `${backend} (${group.startsWith("group ") ? group : `slot ${group}`})`,
      name,
      declared ? "unknown" : size(needBytes),
      size(shareBytes),
      "",
    ]);
    return [...tenants, ["reserve", name, "", size(device.reservedBytes), size(device.leftBytes)]];
  });
  const head = ["MODEL", "DEVICE", "NEEDS", "SHARE", "LEFT"];
  return table(head, rows, (column) => column >= 2).join("\n");
}

/** Unknown sizes and how to find them out, one line per backend and source. */
function remarks(devices: DevicePlan[]): string {
  const lines = devices.flatMap(({ tenants }) =>
    tenants.flatMap(({ backend, unknown = [], declared }) =>
      unknown.map((source) => {
        const so = declared ? ", so that the plan takes what gpu.memoryGiB says" : " and not among its needs";
        return `${backend}: the size of ${source} is unknown${so}. ${howToKnow(source)}`;
      }),
    ),
  );
  return [...new Set(lines)].join("\n");
}

function howToKnow(source: string): string {
  if (!isLockable(source)) return "A name of Ollama's has no lock: load it once and read `ollama ps`.";
  const where = source.startsWith("file://") ? "on the host" : "where the hub answers";
  return `\`gpubox models lock\` finds it out ${where}.`;
}

function explanations(device: DevicePlan): string[] {
  return device.tenants.map(
    ({ backend, lines }) => `${backend} on ${deviceName(device.id)}:\n${explained(lines)}`,
  );
}
