import type { Problem } from "../kit/problems";
import { GIB, hundredthsOfGiB, MIB, size } from "../kit/sizes";
import type { DeviceNeed } from "../kit/types";
import type { StackConfig } from "../stack/config";
import { groupOf } from "../stack/instances";
import { deviceName } from "./device";
import type { GpuPlan } from "./placement";

/** What stands for the host's memory, which models on the CPU share, where a device's id stands for others. */
export const HOST_MEMORY = "host";

/** A model of a group on one device. */
interface Member {
  model: string;
  bytes: number;
  /** What of that it keeps while it sleeps; 0 where it is unloaded in place of that. */
  asleepBytes: number;
  pinned: boolean;
}

/** A group on one of the devices of its models. */
interface GroupDevice {
  device: string;
  /** What people call it. */
  title: string;
  members: Member[];
  /** `memoryGiB` in bytes; undefined where the config leaves it to the planner. */
  declared?: number;
  /** Bytes that models outside the group leave; undefined for the host's memory, of which nobody keeps count. */
  room?: number;
}

/** The groups of a stack, by name, each with the names of its models. */
export function groupsOf({ models }: Pick<StackConfig, "models">): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const [name, model] of Object.entries(models)) {
    const group = groupOf(name, model);
    if (group !== undefined) groups[group] = [...(groups[group] ?? []), name];
  }
  return groups;
}

/** The name by which the planner knows a group. A slot may have the same one. */
export function demandGroup(group: string): string {
  return `group ${group}`;
}

/** MiB that the loaded models of a group may take together on each of their devices. */
export function groupBudget(config: StackConfig, gpus: GpuPlan, group: string): DeviceNeed[] {
  return devicesOf(config, gpus, group).map((one) => ({
    device: one.device,
    mib: Math.ceil(budgetOf(one) / MIB),
  }));
}

/** MiB that a model of a group takes on each of its devices. */
export function memberNeeds(config: StackConfig, gpus: GpuPlan, group: string, model: string): DeviceNeed[] {
  return devicesOf(config, gpus, group).flatMap(({ device, members }) =>
    members
      .filter((member) => member.model === model)
      .map(({ bytes }) => ({ device, mib: Math.ceil(bytes / MIB) })),
  );
}

/** MiB that a model of a group keeps on each of its devices while it sleeps. */
export function memberAsleep(config: StackConfig, gpus: GpuPlan, group: string, model: string): DeviceNeed[] {
  return devicesOf(config, gpus, group).flatMap(({ device, members }) =>
    members
      .filter((member) => member.model === model)
      .map(({ asleepBytes }) => ({ device, mib: Math.ceil(asleepBytes / MIB) })),
  );
}

/** Groups whose budget does not hold what it has to, each with its sum. */
export function groupProblems(config: StackConfig, gpus: GpuPlan): Problem[] {
  return Object.keys(groupsOf(config)).flatMap((group) =>
    devicesOf(config, gpus, group).flatMap((one) => [
      ...aboveRoom(group, one),
      ...tooLarge(group, one),
      ...besidePinned(group, one),
      ...besideSleepers(group, one),
    ]),
  );
}

function pathOf(group: string): string {
  return `gpubox:groups.${group}.memoryGiB`;
}

/** A budget that the device does not have beside the models outside the group. */
function aboveRoom(group: string, { title, declared, room }: GroupDevice): Problem[] {
  if (declared === undefined || room === undefined || declared <= room) return [];
  return [
    {
      path: pathOf(group),
      what: `The group ${group} may take ${size(declared)} of ${title}, and other models and the reserve leave ${size(Math.max(0, room))}: ${hundredthsOfGiB(declared - room, "up")} GiB are missing.`,
      fix: `Write at most memoryGiB: ${hundredthsOfGiB(Math.max(0, room), "down")}, or leave it out to take what is left.`,
    },
  ];
}

/** Models that would never fit, even alone. */
function tooLarge(group: string, one: GroupDevice): Problem[] {
  const budget = budgetOf(one);
  const large = one.members.filter(({ bytes }) => bytes > budget);
  if (one.declared === undefined || large.length === 0) return [];
  const most = Math.max(...large.map(({ bytes }) => bytes));
  const none = large.length === one.members.length ? ", so none of its models fits" : "";
  return [
    {
      path: pathOf(group),
      what: `The group ${group} may take ${size(budget)} of ${one.title}, and ${large.map(({ model, bytes }) => `${model} needs ${size(bytes)}`).join(", ")}${none}: ${hundredthsOfGiB(most - budget, "up")} GiB are missing.`,
      fix: `Write memoryGiB: ${hundredthsOfGiB(most, "up")}, or give ${large.map(({ model }) => model).join(" and ")} less context or a group of its own.`,
    },
  ];
}

/** Pinned models are always loaded: what they leave has to hold the largest of the others. */
function besidePinned(group: string, one: GroupDevice): Problem[] {
  const pinned = one.members.filter((member) => member.pinned);
  const kept = sumOf(pinned);
  const budget = one.declared ?? one.room;
  const [largest] = one.members.filter((member) => !member.pinned).sort((a, b) => b.bytes - a.bytes);
  const needed = kept + (largest?.bytes ?? 0);
  if (pinned.length === 0 || budget === undefined || needed <= budget) return [];
  if (largest && largest.bytes > budget) return [];
  const beside = largest ? `, and ${largest.model} needs ${size(largest.bytes)} beside them` : "";
  const names = pinned.map(({ model, bytes }) => `${model} (${size(bytes)})`).join(" and ");
  return [
    {
      path: one.declared === undefined ? `gpubox:models.${pinned[0]!.model}.pinned` : pathOf(group),
      what: `Pinned in the group ${group} are ${names}: ${size(kept)} of its ${size(budget)} of ${one.title}${beside}: ${hundredthsOfGiB(needed - budget, "up")} GiB are missing.`,
      fix:
        one.declared === undefined
          ? "Remove pinned from one of them, or give one less context."
          : `Write memoryGiB: ${hundredthsOfGiB(needed, "up")}, or remove pinned from one of them.`,
    },
  ];
}

/** One that sleeps is ended where its remains are in the way. Where they always are, it would never be woken. */
function besideSleepers(group: string, one: GroupDevice): Problem[] {
  const budget = one.declared ?? one.room;
  const awake = one.members.filter(({ pinned }) => !pinned);
  const sleepers = awake.filter(({ asleepBytes }) => asleepBytes > 0);
  const beside = (member: Member) => sleepers.filter((other) => other !== member);
  const needed = (member: Member) =>
    sumOf(one.members.filter(({ pinned }) => pinned)) + member.bytes + remainsOf(beside(member));
  const [worst] = [...awake].sort((a, b) => needed(b) - needed(a));
  if (budget === undefined || !worst || beside(worst).length === 0 || needed(worst) <= budget) return [];
  const alone = needed(worst) - remainsOf(beside(worst));
  // That is refused by itself, with or without anybody's sleep.
  if (alone > budget) return [];
  const names = beside(worst).map(({ model, asleepBytes }) => `${model} (${size(asleepBytes)})`);
  return [
    {
      path: `gpubox:models.${beside(worst)[0]!.model}.sleep`,
      what: `${worst.model} takes ${size(alone)} of the ${size(budget)} that the group ${group} may have of ${one.title}, and what sleeps beside it keeps ${names.join(" and ")}: ${hundredthsOfGiB(needed(worst) - budget, "up")} GiB are missing.`,
      fix:
        one.declared === undefined
          ? `Remove sleep from one of them, or give ${worst.model} less context.`
          : `Write ${pathOf(group)}: ${hundredthsOfGiB(needed(worst), "up")}, or remove sleep from one of them.`,
    },
  ];
}

/** What may be taken: the declared, else the room; in the host's memory what the largest takes beside the pinned ones. */
function budgetOf({ declared, room, members }: GroupDevice): number {
  const others = members.filter(({ pinned }) => !pinned).map(({ bytes }) => bytes);
  return declared ?? room ?? sumOf(members.filter(({ pinned }) => pinned)) + Math.max(0, ...others);
}

function devicesOf(config: StackConfig, gpus: GpuPlan, group: string): GroupDevice[] {
  const { memoryGiB } = config.groups[group] ?? {};
  const declared = memoryGiB === undefined ? undefined : Math.floor(memoryGiB * GIB);
  const names = groupsOf(config)[group] ?? [];
  const pinned = (name: string) => "pinned" in config.models[name]! && config.models[name].pinned === true;
  const onDevices = gpus.devices.flatMap(({ id, tenants, rooms }): GroupDevice[] => {
    const own = tenants.filter((tenant) => tenant.group === demandGroup(group));
    if (own.length === 0) return [];
    return [
      {
        ...{ device: String(id), title: deviceName(id), declared, room: rooms[demandGroup(group)] },
        members: own.map(({ model, shareBytes, asleepBytes = 0 }) => ({
          ...{ model, bytes: shareBytes, asleepBytes, pinned: pinned(model) },
        })),
      },
    ];
  });
  const inMemory = names.flatMap((model): Member[] => {
    const entry = config.models[model]!;
    if (!("memoryMiB" in entry) || ("gpu" in entry && entry.gpu)) return [];
    return [{ model, bytes: entry.memoryMiB * MIB, asleepBytes: 0, pinned: pinned(model) }];
  });
  const host = { device: HOST_MEMORY, title: "the host's memory", members: inMemory, declared };
  return [...onDevices, ...(inMemory.length > 0 ? [host] : [])];
}

function remainsOf(members: Member[]): number {
  return members.reduce((sum, { asleepBytes }) => sum + asleepBytes, 0);
}

function sumOf(members: Member[]): number {
  return members.reduce((sum, { bytes }) => sum + bytes, 0);
}
