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

/** One container as a service. */
export function serviceOf(
  { Config, HostConfig, Mounts, Name }: InspectedContainer,
  imageEnv: string[],
): object {
  const devices = HostConfig.DeviceRequests?.[0];
  const env = Config.Env.filter((one) => !imageEnv.includes(one));
  const ports = Object.entries(HostConfig.PortBindings).flatMap(([inside, bindings]) =>
    (bindings ?? []).map(({ HostPort }) => `${HostPort}:${inside}`),
  );
  const mounts = Mounts.filter(({ Type }) => Type === "bind").map(
    ({ Source, Destination, RW }) => `${Source}:${Destination}${RW ? "" : ":ro"}`,
  );
  return {
    image: Config.Image,
    container_name: Name,
    ...(Config.Entrypoint.length > 0 ? { entrypoint: Config.Entrypoint } : {}),
    ...(Config.Cmd.length > 0 ? { command: Config.Cmd } : {}),
    ...(env.length > 0 ? { environment: env } : {}),
    ...(mounts.length > 0 ? { volumes: mounts } : {}),
    ...(ports.length > 0 ? { ports } : {}),
    ...(devices
      ? { gpus: [devices.DeviceIDs.length > 0 ? { device_ids: devices.DeviceIDs } : { count: "all" }] }
      : {}),
  };
}
