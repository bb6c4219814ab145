import type { SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import type { StackConfig } from "../../configs/stack/config";
import { dockerAt } from "../../platform/docker/client";
import { runOnHost } from "../../platform/machine";
import { edgeOf } from "../doctor/collectServices";
import { hostContainers, presentImages } from "./collectContainers";
import { hostDirectories } from "./collectFiles";
import { gpuProcesses } from "./collectGpus";
import type { DriftFacts, HostNetwork } from "./facts";
import { plannedHashes } from "./files";

export interface DriftOptions {
  box: BoxPlan;
  /** NVIDIA devices that the config declares. */
  gpus: string[];
  /** Values of secrets, used only to hash the files that hold them. */
  secrets: SecretValues;
}

/** Collects everything that `drift` compares. Changes nothing. */
export async function collectDrift({ box, gpus, secrets }: DriftOptions): Promise<DriftFacts> {
  const services = servicesOf(box);
  const directories = services.map(({ directory }) => directory);
  const writable = services.flatMap((service) => service.writable.map(({ path }) => path));
  const [containers, networks, volumes, images, edge] = await Promise.all([
    hostContainers(box),
    hostNetworks(box.docker),
    dockerAt(box.docker).lines(["volume", "ls", "--quiet"]),
    presentImages(box.docker, [...new Set(services.map(({ container }) => container.image))]),
    edgeOf(box),
  ]);
  return {
    containers,
    networks,
    volumes,
    images,
    // A container of the edge's image reads them. Without that image they stay unknown, and `up` gets the image first.
    directories: images.includes(box.edge.container.image)
      ? await hostDirectories(
          box,
          directories.map(({ path }) => path),
          writable,
        )
      : {},
    planned: Object.fromEntries(
      directories.map((directory) => [directory.path, plannedHashes(directory, secrets)]),
    ),
    serving: edge && {
      generation: edge.generation,
      gateways: edge.gateways.filter(({ state }) => state === "serving").map(({ gateway }) => gateway),
    },
    gpus: gpus.length > 0 ? await gpuProcesses((script) => runOnHost(box.docker, script), gpus) : undefined,
  };
}

/** NVIDIA devices of a stack's config, by index or UUID. */
export function declaredGpus({ host }: StackConfig): string[] {
  return host.gpus.filter(({ vendor }) => vendor === "nvidia").map(({ id }) => String(id));
}

async function hostNetworks(docker: string): Promise<HostNetwork[]> {
  return (await dockerAt(docker).networks()).map(({ Name, Internal, Driver, Labels }) => ({
    name: Name,
    internal: Internal,
    driver: Driver,
    stack: Labels["gpubox.stack"],
  }));
}
