import { dockerAt } from "../../platform/docker/client";
import type { InspectedContainer } from "../../platform/docker/inspect";

/**
 * The containers of a Docker engine as services of a compose file, without what their images bring.
 *
 * @param address of the engine, for example `unix:///var/run/docker.sock`
 */
export async function servicesOf(address: string): Promise<Record<string, unknown>> {
  const docker = dockerAt(address);
  const containers = await docker.containers();
  // A box of gpubox is no old setup.
  const others = containers.filter(
    ({ Config }) => Config.Labels["gpubox.stack"] === undefined && !Config.Image.startsWith("gpubox/"),
  );
  const images = await docker.images(others.map(({ Image }) => Image));
  return Object.fromEntries(
    others.map((one) => [one.Name, serviceOf(one, images.get(one.Image)?.Config.Env ?? [])]),
  );
}

/** What the engine gives a container that says nothing of its shared memory, in bytes. */
const USUAL_SHM = 64 * 2 ** 20;

/**
 * One container as a service. A volume of Docker's own stands by its directory on the host: that is where the weights are.
 *
 * @param imageEnv variables that its image brings
 */
export function serviceOf(
  { Config, HostConfig, Mounts, Name }: InspectedContainer,
  imageEnv: string[],
): object {
  const ports = Object.entries(HostConfig.PortBindings).flatMap(([inside, bindings]) =>
    (bindings ?? []).map(({ HostPort }) => `${HostPort}:${inside}`),
  );
  const said: Record<string, unknown> = {
    entrypoint: Config.Entrypoint,
    command: Config.Cmd,
    environment: Config.Env.filter((one) => !imageEnv.includes(one)),
    volumes: Mounts.filter(({ Type, Source }) => Type !== "tmpfs" && Source !== "").map(
      ({ Source, Destination, RW }) => `${Source}:${Destination}${RW ? "" : ":ro"}`,
    ),
    ports,
    gpus: gpusOf(HostConfig),
    runtime: HostConfig.Runtime === "nvidia" ? "nvidia" : undefined,
    devices: (HostConfig.Devices ?? []).map(({ PathOnHost }) => PathOnHost),
    group_add: HostConfig.GroupAdd,
    ulimits: Object.fromEntries(
      (HostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => [Name, { soft: Soft, hard: Hard }]),
    ),
    shm_size: HostConfig.ShmSize === USUAL_SHM ? undefined : HostConfig.ShmSize || undefined,
    mem_limit: HostConfig.Memory || undefined,
    ...housekeepingOf(Config, HostConfig),
  };
  const full = Object.entries(said).filter(([, value]) => !isEmpty(value));
  return { image: Config.Image, container_name: Name, ...Object.fromEntries(full) };
}

/** What only says how the old engine kept it, where it is not the engine's own choice. */
function housekeepingOf(
  { User }: InspectedContainer["Config"],
  { CapAdd, IpcMode, NetworkMode, Privileged, RestartPolicy, SecurityOpt }: InspectedContainer["HostConfig"],
): Record<string, unknown> {
  return {
    restart: RestartPolicy.Name === "no" ? undefined : RestartPolicy.Name,
    user: User || undefined,
    ipc: IpcMode === "host" ? IpcMode : undefined,
    network_mode: NetworkMode === "host" ? NetworkMode : undefined,
    privileged: Privileged || undefined,
    cap_add: CapAdd,
    security_opt: SecurityOpt,
  };
}

function gpusOf({ DeviceRequests }: InspectedContainer["HostConfig"]): object[] | undefined {
  const [first] = DeviceRequests ?? [];
  if (!first) return undefined;
  if (first.DeviceIDs.length > 0) return [{ device_ids: first.DeviceIDs }];
  return [{ count: first.Count > 0 ? first.Count : "all" }];
}

function isEmpty(value: unknown): boolean {
  return value === undefined || (typeof value === "object" && Object.keys(value ?? {}).length === 0);
}
