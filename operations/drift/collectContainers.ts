import { stableJson } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt } from "../../platform/docker/client";
import type { InspectedContainer, InspectedImage } from "../../platform/docker/inspect";
import type { HostContainer } from "./facts";
import { healthText, mountText, publishText, type Settings } from "./settings";

const MiB = 1024 ** 2;
const NANOSECONDS = 1e9;

/** Containers with the stack's label, with a name of the box, or on one of its networks. Includes stopped ones. */
export async function hostContainers(box: BoxPlan): Promise<HostContainer[]> {
  const { docker, prefix, stack } = box;
  const networks = new Set(box.networks.filter(({ external }) => !external).map(({ name }) => name));
  const found = (await dockerAt(docker).containers({ all: true })).filter(
    ({ Name, Config, NetworkSettings }) =>
      Config.Labels["gpubox.stack"] === stack ||
      Name.startsWith(`${prefix}-`) ||
      Object.keys(NetworkSettings.Networks).some((name) => networks.has(name)),
  );
  // What a container has from its image is no difference.
  const images = await dockerAt(docker).images(found.flatMap(({ Image, Config }) => [Image, Config.Image]));
  return found.map((one) => hostContainer(one, images));
}

/** References of images that are on the host. */
export async function presentImages(docker: string, references: string[]): Promise<string[]> {
  return [...(await dockerAt(docker).images(references)).keys()];
}

function hostContainer(one: InspectedContainer, images: Map<string, InspectedImage>): HostContainer {
  const meant = images.get(one.Config.Image);
  return {
    id: one.Id,
    name: one.Name,
    state: one.State.Status,
    staleImage: meant !== undefined && meant.Id !== one.Image,
    settings: settingsOf(one, images.get(one.Image)),
  };
}

function settingsOf(one: InspectedContainer, image: InspectedImage | undefined): Settings {
  const { Config, HostConfig, Mounts, NetworkSettings } = one;
  const own = new Set([one.Id.slice(0, 12), one.Name]);
  const brought = new Set(image?.Config.Env ?? []);
  const health = Config.Healthcheck;
  return {
    image: Config.Image,
    entrypoint: Config.Entrypoint,
    command: Config.Cmd,
    user: Config.User,
    env: Object.fromEntries(
      Config.Env.filter((line) => !brought.has(line)).map((line) => {
        const at = line.indexOf("=");
        return at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
      }),
    ),
    labels: Object.fromEntries(
      Object.entries(Config.Labels).filter(([label, value]) => image?.Config.Labels[label] !== value),
    ),
    // Docker reports a container without a network as one on the network `none`.
    networks: Object.fromEntries(
      Object.entries(NetworkSettings.Networks)
        .filter(([network]) => network !== "none")
        .map(([network, { Aliases }]) => [network, Aliases.filter((alias) => !own.has(alias)).sort()]),
    ),
    mounts: Mounts
      // An anonymous volume comes from the image.
      .filter(
        ({ Type, Name = "" }) => Type !== "tmpfs" && !(Type === "volume" && /^[0-9a-f]{64}$/.test(Name)),
      )
      .map(({ Type, Name, Source, Destination, RW }) =>
        mountText(Type === "volume" ? (Name ?? Source) : Source, Destination, !RW),
      )
      .sort(),
    tmpfs: HostConfig.Tmpfs,
    ports: Object.entries(HostConfig.PortBindings)
      .flatMap(([inside, bindings]) =>
        (bindings ?? []).map(({ HostIp, HostPort }) =>
          publishText(HostIp, Number(HostPort), Number.parseInt(inside, 10)),
        ),
      )
      .sort(),
    hosts: HostConfig.ExtraHosts,
    memoryMiB: HostConfig.Memory / MiB,
    memorySwapMiB: HostConfig.MemorySwap < 0 ? -1 : HostConfig.MemorySwap / MiB,
    shmMiB: HostConfig.ShmSize / MiB,
    processes: Math.max(0, HostConfig.PidsLimit ?? 0),
    otherLimits: otherLimits(HostConfig),
    readOnly: HostConfig.ReadonlyRootfs,
    init: HostConfig.Init ?? false,
    privileged: HostConfig.Privileged,
    capAdd: HostConfig.CapAdd.map(capability).sort(),
    capDrop: [...HostConfig.CapDrop].sort(),
    securityOpts: [...HostConfig.SecurityOpt].sort(),
    ulimits: (HostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`).sort(),
    sharesHost: [
      ...(HostConfig.IpcMode === "host" ? ["ipc"] : []),
      ...(HostConfig.NetworkMode === "host" ? ["network"] : []),
      ...(HostConfig.PidMode === "host" ? ["pid"] : []),
      ...(HostConfig.UTSMode === "host" ? ["uts"] : []),
    ],
    groupAdd: [...HostConfig.GroupAdd].sort(),
    devices: (HostConfig.Devices ?? []).map(({ PathOnHost }) => PathOnHost).sort(),
    gpus: (HostConfig.DeviceRequests ?? []).flatMap(({ DeviceIDs }) => DeviceIDs).sort(),
    health: healthText(health?.Test ?? [], {
      timeoutSeconds: (health?.Timeout ?? 0) / NANOSECONDS,
      retries: health?.Retries ?? 0,
      startPeriodSeconds: (health?.StartPeriod ?? 0) / NANOSECONDS,
    }),
    stopSignal: Config.StopSignal ?? "",
    stopGraceSeconds: Config.StopTimeout ?? 10,
    restart: HostConfig.RestartPolicy.Name,
    log: stableJson({ driver: HostConfig.LogConfig.Type, ...HostConfig.LogConfig.Config }),
  };
}

/** Capabilities as the plan writes them: newer engines omit the prefix. */
function capability(name: string): string {
  return name.startsWith("CAP_") ? name : `CAP_${name}`;
}

function otherLimits(host: InspectedContainer["HostConfig"]): string {
  const set = [
    ...(host.NanoCpus > 0 ? [`${host.NanoCpus / NANOSECONDS} CPUs`] : []),
    ...(host.CpuShares > 0 ? [`CPU shares ${host.CpuShares}`] : []),
    ...(host.CpuQuota > 0 ? [`CPU quota ${host.CpuQuota}`] : []),
    ...(host.CpusetCpus ? [`CPUs ${host.CpusetCpus}`] : []),
    ...(host.MemoryReservation > 0 ? [`${host.MemoryReservation / MiB} MiB reserved`] : []),
  ];
  return set.length > 0 ? set.join(", ") : "none";
}
