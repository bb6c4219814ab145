import type { Registered } from "./mocks";

/** All names by which a running box's parts are found again, by Pulumi, by Docker and on the host. */
export interface Identities {
  /** Types of the nearest two components around it, its own, and its name. The components are listed themselves. */
  resources: string[];
  /** What the engine calls a container; one without a fixed name has the name of its resource as its beginning. */
  containers: string[];
  networks: string[];
  volumes: string[];
  /** Files, directories and sockets on the host. */
  paths: string[];
}

/** What a plan says of a service's files, as old versions said it too. */
interface Files {
  directory: { path: string; files: Record<string, unknown> };
  writable: { path: string }[];
}

interface Container {
  name?: string;
  mounts?: { type: string; source: string }[];
}

/** A generation's directory is named by its hash, and the files in it are those of no other generation. */
const withoutHash = (path: string) => path.replace(/\/[0-9a-f]{12,64}(\/.*)?$/, "/HASH");

const sorted = (values: Iterable<string>) => [...new Set(values)].sort();

/** The identities of a box: its resources as they were registered, its services as they were planned. */
export function identitiesOf(all: Registered[], services: Files[]): Identities {
  const inputs = (type: string) => all.filter((one) => one.type === `docker:index/${type}`);
  const containers = inputs("container:Container");
  const given = containers.map(({ inputs }) => inputs as Container);
  const mounts = given.flatMap(({ mounts = [] }) =>
    mounts.filter(({ type }) => type === "bind").map(({ source }) => source),
  );
  return {
    resources: sorted(all.filter(({ type }) => !type.startsWith("pulumi:")).map(({ identity }) => identity)),
    containers: sorted(containers.map(({ name, inputs }) => (inputs as Container).name ?? `${name}-…`)),
    networks: sorted(inputs("network:Network").map(({ inputs }) => String(inputs.name))),
    volumes: sorted(inputs("volume:Volume").map(({ inputs }) => String(inputs.name))),
    paths: sorted(
      [
        ...mounts,
        ...services.flatMap(({ directory, writable }) => [
          ...Object.keys(directory.files).map((file) => `${directory.path}/${file}`),
          ...writable.map(({ path }) => path),
        ]),
      ].map(withoutHash),
    ),
  };
}
