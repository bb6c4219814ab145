import { servicesOf } from "../../configs/plan/box";
import type { DeployedResource } from "../../operations/drift/deployed";
import type { DriftFacts, HostContainer, HostDirectory } from "../../operations/drift/facts";
import { plannedHashes } from "../../operations/drift/files";
import { plannedSettings } from "../../operations/drift/settings";
import { testPlan, testSecrets } from "./stacks";

/** A box with what can differ. */
export const box = testPlan({
  gateway: { replicas: 2, trajectories: true },
  cache: { mode: "bundled" },
  database: { mode: "bundled" },
  models: {
    tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 1024 },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
  },
});
export const services = servicesOf(box);
export const serviceOf = (role: string) => services.find(({ container }) => container.name === role)!;

/** A host that is as planned, made anew for each test. */
export function asPlanned(): DriftFacts {
  const containers = services.flatMap((service): HostContainer[] => {
    const { name, started } = service.container;
    const copies = service === box.gateway ? ["-a", "-b"] : [""];
    return copies.map((end) => ({
      id: `id-${name}${end}`,
      name: `gpubox-test-${name}${end}`,
      state: started ? "running" : "created",
      staleImage: false,
      settings: structuredClone(plannedSettings(service.container, box)),
    }));
  });
  const directories: Record<string, HostDirectory> = {};
  for (const { directory, writable } of services) {
    const hashes = plannedHashes(directory, testSecrets);
    directories[directory.path] = {
      ...{ mode: "750", uid: 0, gid: directory.gid },
      entries: Object.fromEntries(
        Object.entries(directory.files).map(([name, { mode }]) => [
          name,
          { type: "file", mode: mode.slice(1), uid: 0, gid: directory.gid, sha256: hashes[name]! },
        ]),
      ),
    };
    for (const { path, uid, gid } of writable) directories[path] = { mode: "750", uid, gid, entries: {} };
  }
  return {
    containers,
    networks: box.networks.map(({ name, internal }) => ({ name, internal, driver: "bridge", stack: "test" })),
    volumes: services.flatMap(({ volume }) => volume?.name ?? []),
    images: services.map(({ container }) => container.image),
    directories,
    planned: Object.fromEntries(
      services.map(({ directory }) => [directory.path, plannedHashes(directory, testSecrets)]),
    ),
    serving: { generation: box.gateway.generation, gateways: [] },
  };
}

/** The state after an `up` of the plan. */
export function deployed(): DeployedResource[] {
  const urn = (name: string) => `urn:pulumi:test::gpubox::x::${name}`;
  const containers = asPlanned().containers.flatMap(({ id, name, settings }): DeployedResource[] => {
    const labels = Object.entries(settings.labels).map(([label, value]) => ({ label, value }));
    const { directory } = serviceOf(settings.labels["gpubox.role"]!);
    return [
      { urn: urn(id), type: "docker:index/container:Container", id, inputs: { name, labels } },
      {
        ...{ urn: urn(`${id}-ready`), type: "command:local:Command" },
        inputs: { triggers: [id, directory.hash] },
      },
    ];
  });
  return [...containers, { urn: urn("box-gateway-switch"), type: "command:local:Command" }];
}

/** One of the host's containers, by its role. */
export function found(facts: DriftFacts, role: string): HostContainer {
  return facts.containers.find((one) => one.name === `gpubox-test-${role}`)!;
}
