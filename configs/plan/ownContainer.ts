import type { ModelConfig } from "../engines";
import type { EngineContainer } from "../engines/engine";
import type { MountPlan, UlimitPlan } from "../kit/containerPlan";
import { ownImageOf } from "../kit/imageRoles";
import type { OwnContainer } from "../schema/ownContainer";

/** An engine's container with what its entry says of it. Unchanged by an entry that says nothing. */
export function withOwnSettings(
  container: EngineContainer,
  { image, mounts, ulimits, shmMiB, devices }: ModelConfig & OwnContainer,
): EngineContainer {
  return {
    ...container,
    ...(image && { ownImage: ownImageOf(image) }),
    ...(mounts && { ownMounts: mounts.map(mountOf) }),
    ...(ulimits && { ulimits: mergedUlimits(container.ulimits ?? [], ulimits) }),
    // An engine that has a default of its own has put it there, or shares the host's memory.
    ...(shmMiB && !container.shmMiB && !container.ipc && { shmMiB }),
    ...(devices && { devices: [...new Set([...(container.devices ?? []), ...devices])] }),
  };
}

function mountOf({
  source,
  target = source,
  readOnly,
}: NonNullable<OwnContainer["mounts"]>[number]): MountPlan {
  return { kind: "directory", source, target, readOnly };
}

function mergedUlimits(given: UlimitPlan[], own: NonNullable<OwnContainer["ulimits"]>): UlimitPlan[] {
  const names = ["memlock", "stack", "nofile"] as const;
  return names.flatMap((name): UlimitPlan[] => {
    const value = own[name];
    if (value === undefined) return given.filter((one) => one.name === name);
    return [{ name, ...(typeof value === "number" ? { soft: value, hard: value } : value) }];
  });
}

/** Mounts without those whose target is taken: the engine's own come first. */
export function distinctMounts<Mount extends { target: string }>(mounts: Mount[]): Mount[] {
  return mounts.filter(({ target }, index) => mounts.findIndex((other) => other.target === target) === index);
}
