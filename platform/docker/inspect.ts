import { z } from "zod";

const words = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);

const table = z
  .record(z.string(), z.string())
  .nullish()
  .transform((record) => record ?? {});

const number = z.number().default(0);
const flag = z.boolean().default(false);
const text = z.string().default("");

/** The engine puts a slash in front of names. */
const containerName = z.string().transform((name) => name.replace(/^\//, ""));

const ports = z
  .record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullish())
  .nullish()
  .transform((bindings) => bindings ?? {});

/**
 * The parts of `docker container inspect` that gpubox reads. Field names are the engine's; which ones it omits depends
 * on its version. `Name` has no slash in front.
 */
export const containerSchema = z.object({
  Id: z.string(),
  Name: containerName,
  /** Id of its image; `Config.Image` is the reference that it was created with. */
  Image: z.string(),
  RestartCount: number,
  State: z.object({
    Status: z.enum(["created", "running", "paused", "restarting", "removing", "exited", "dead"]),
    ExitCode: number,
    OOMKilled: flag,
    Error: text,
    StartedAt: text,
    FinishedAt: text,
    Health: z.object({ Status: z.string(), Log: z.array(z.object({ Output: text })).nullish() }).nullish(),
  }),
  Config: z.object({
    Image: z.string(),
    Entrypoint: words,
    Cmd: words,
    User: text,
    Env: words,
    Labels: table,
    StopSignal: z.string().optional(),
    StopTimeout: z.number().nullish(),
    Healthcheck: z
      .object({ Test: words, Interval: number, Timeout: number, StartPeriod: number, Retries: number })
      .nullish(),
  }),
  HostConfig: z.object({
    Tmpfs: table,
    PortBindings: ports,
    ExtraHosts: words,
    Memory: number,
    MemorySwap: number,
    ShmSize: number,
    NanoCpus: number,
    CpuShares: number,
    CpuQuota: number,
    CpusetCpus: text,
    PidsLimit: z.number().nullish(),
    MemoryReservation: number,
    ReadonlyRootfs: flag,
    Init: z.boolean().nullish(),
    Privileged: flag,
    CapAdd: words,
    CapDrop: words,
    SecurityOpt: words,
    Ulimits: z.array(z.object({ Name: z.string(), Soft: z.number(), Hard: z.number() })).nullish(),
    IpcMode: text,
    PidMode: text,
    UTSMode: text,
    NetworkMode: text,
    GroupAdd: words,
    Devices: z.array(z.object({ PathOnHost: z.string() })).nullish(),
    /** `Count` is -1 for all of them. */
    DeviceRequests: z.array(z.object({ Count: number, DeviceIDs: words })).nullish(),
    /** `nvidia`, or the engine's own. */
    Runtime: text,
    RestartPolicy: z.object({ Name: z.string() }),
    LogConfig: z.object({ Type: z.string(), Config: table }),
  }),
  Mounts: z.array(
    z.object({
      Type: z.string(),
      Name: z.string().optional(),
      Source: text,
      Destination: z.string(),
      RW: z.boolean(),
    }),
  ),
  NetworkSettings: z.object({
    /** Currently published ports; `HostConfig.PortBindings` has those from its creation. */
    Ports: ports,
    Networks: z
      .record(z.string(), z.object({ Aliases: words }))
      .nullish()
      .transform((networks) => networks ?? {}),
  }),
});

export type InspectedContainer = z.infer<typeof containerSchema>;

/** The parts of `docker image inspect` that gpubox reads. */
export const imageSchema = z.object({
  Id: z.string(),
  Config: z.object({ Env: words, Labels: table }),
  /** Bytes, unpacked. */
  Size: z.number().nullish(),
  /** Hashes of the unpacked layers: the same on every engine, which ids are not. */
  RootFS: z.object({ Layers: words }).nullish(),
});

export type InspectedImage = z.infer<typeof imageSchema>;

/** The parts of `docker network inspect` that gpubox reads. */
export const networkSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Internal: z.boolean(),
  Labels: table,
});

export type InspectedNetwork = z.infer<typeof networkSchema>;
