import type { Settings } from "./settings";

/** What was found on a host, as plain data, with hashes of files and without their content. */
export interface DriftFacts {
  /** Containers that carry the label of this stack, have a name of it, or are on one of its networks. */
  containers: HostContainer[];
  networks: HostNetwork[];
  /** Names of volumes. */
  volumes: string[];
  /** References of the planned images that are there. */
  images: string[];
  /** Path to what lies there; a path without a directory is left out. */
  directories: Record<string, HostDirectory>;
  /** Directory to the planned hashes of its files, which depend on the secrets. */
  planned: Record<string, Record<string, string>>;
  /** The generation that the edge serves, and how it sees each gateway. Undefined where the edge does not say. */
  serving?: { generation?: string; gateways: string[] };
  /** Undefined where the config declares no NVIDIA device. */
  gpus?: GpuProcess[] | { notChecked: string };
}

export interface HostContainer {
  id: string;
  /** Name on the host. */
  name: string;
  state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** The image's reference points to another image by now. */
  staleImage: boolean;
  settings: Settings;
}

export interface HostNetwork {
  name: string;
  internal: boolean;
  driver: string;
  stack?: string;
}

export interface HostDirectory {
  /** Octal, as `stat` prints it: `750`. */
  mode: string;
  uid: number;
  gid: number;
  /** Names to what they are. Empty for directories that a container writes to. */
  entries: Record<string, HostEntry>;
}

export interface HostEntry {
  type: "file" | "directory" | "link" | "other";
  mode: string;
  uid: number;
  gid: number;
  /** SHA-256 of a file. */
  sha256?: string;
}

/** A process that uses memory of a GPU. */
export interface GpuProcess {
  /** UUID. */
  gpu: string;
  pid: number;
  name: string;
  usedMiB: number;
  /** Docker's id of the container that it runs in. */
  container?: string;
}
