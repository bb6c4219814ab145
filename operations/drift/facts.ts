import type { Settings } from "./settings";

/** The state of a host, as plain data, with hashes of files instead of their content. */
export interface DriftFacts {
  /** Containers with this stack's label, with a name of the box, or on one of its networks. */
  containers: HostContainer[];
  networks: HostNetwork[];
  /** Names of volumes. */
  volumes: string[];
  /** References of the planned images that are present. */
  images: string[];
  /** What exists at each planned path. A path without a directory is left out. */
  directories: Record<string, HostDirectory>;
  /** Planned hashes of each directory's files, which depend on the secrets. */
  planned: Record<string, Record<string, string>>;
  /** The serving generation, and the edge's view of each gateway. Undefined when the edge does not answer. */
  serving?: { generation?: string; gateways: string[] };
  /** Undefined when the config declares no NVIDIA device. */
  gpus?: GpuProcess[] | { notChecked: string };
}

export interface HostContainer {
  id: string;
  /** Name on the host. */
  name: string;
  state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  /** The image's reference points to another image now. */
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
  /** Entries by name. Empty for directories that containers write to. */
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
  gpu: string;
  pid: number;
  name: string;
  usedMiB: number;
  /** Docker's id of the container that it runs in. */
  container?: string;
}
