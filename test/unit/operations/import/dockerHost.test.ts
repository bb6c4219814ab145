import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serviceOf } from "../../../../operations/import/dockerHost";
import { importStack } from "../../../../operations/import/importStack";
import { containerSchema } from "../../../../platform/docker/inspect";
import { scratch } from "../../../support/allocate";
import { lost } from "../../../support/imported";

/** What `docker container inspect` prints of a container that says nothing of its own. */
const plain = {
  ...{ Id: "1", Name: "/old", Image: "sha256:1", Mounts: [] as object[] },
  State: { Status: "running", ExitCode: 0 },
  Config: {
    Image: "vllm/vllm-openai",
    Entrypoint: ["vllm"],
    Cmd: ["serve", "org/m"],
    Env: ["PATH=/bin"],
  },
  HostConfig: {
    ...{ PortBindings: {}, ShmSize: 67_108_864, IpcMode: "private", NetworkMode: "default", Runtime: "runc" },
    ...{ RestartPolicy: { Name: "no" }, LogConfig: { Type: "json-file", Config: null } },
  },
  NetworkSettings: { Ports: null, Networks: null },
};
const asService = {
  ...{ image: "vllm/vllm-openai", container_name: "old", entrypoint: ["vllm"], command: ["serve", "org/m"] },
};

/** A container that says more than the plain one. */
function container({ Config = {}, HostConfig = {}, ...more }: Record<string, object>) {
  return {
    ...{ ...plain, ...more },
    Config: { ...plain.Config, ...Config },
    HostConfig: { ...plain.HostConfig, ...HostConfig },
  };
}

test.each<[Record<string, object>, object]>([
  [{}, {}],
  [{ Config: { Env: ["PATH=/bin", "A=b"] } }, { environment: ["A=b"] }],
  [{ Config: { User: "1000" } }, { user: "1000" }],
  [
    { HostConfig: { PortBindings: { "8000/tcp": [{ HostIp: "", HostPort: "8001" }] } } },
    { ports: ["8001:8000/tcp"] },
  ],
  [{ HostConfig: { DeviceRequests: [{ DeviceIDs: ["0"], Count: 0 }] } }, { gpus: [{ device_ids: ["0"] }] }],
  [{ HostConfig: { DeviceRequests: [{ DeviceIDs: null, Count: 2 }] } }, { gpus: [{ count: 2 }] }],
  [{ HostConfig: { DeviceRequests: [{ DeviceIDs: null, Count: -1 }] } }, { gpus: [{ count: "all" }] }],
  [{ HostConfig: { Runtime: "nvidia" } }, { runtime: "nvidia" }],
  [
    { HostConfig: { Devices: [{ PathOnHost: "/dev/kfd" }], GroupAdd: ["44"] } },
    { devices: ["/dev/kfd"], group_add: ["44"] },
  ],
  [
    { HostConfig: { Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] } },
    { ulimits: { memlock: { soft: -1, hard: -1 } } },
  ],
  [
    { HostConfig: { ShmSize: 2 ** 34, Memory: 2 ** 35 } },
    { shm_size: 17_179_869_184, mem_limit: 34_359_738_368 },
  ],
  [
    {
      HostConfig: {
        ...{ RestartPolicy: { Name: "always" }, Privileged: true, CapAdd: ["SYS_PTRACE"] },
        ...{ SecurityOpt: ["seccomp=unconfined"], IpcMode: "host", NetworkMode: "host" },
      },
    },
    {
      ...{ restart: "always", privileged: true, cap_add: ["SYS_PTRACE"] },
      ...{ security_opt: ["seccomp=unconfined"], ipc: "host", network_mode: "host" },
    },
  ],
  [
    {
      Mounts: [
        { Type: "bind", Source: "/srv/m", Destination: "/m", RW: false },
        {
          Type: "volume",
          Name: "hf",
          Source: "/var/lib/docker/volumes/hf/_data",
          Destination: "/hf",
          RW: true,
        },
        { Type: "tmpfs", Source: "", Destination: "/tmp", RW: true },
      ],
    },
    { volumes: ["/srv/m:/m:ro", "/var/lib/docker/volumes/hf/_data:/hf"] },
  ],
])("a running container is read as its service, without what its image brings: %j", (more, service) => {
  expect(serviceOf(containerSchema.parse(container(more)), ["PATH=/bin"])).toEqual({
    ...asService,
    ...service,
  });
});

describe("an engine that runs", () => {
  const PATH = process.env.PATH;
  afterEach(() => {
    process.env.PATH = PATH;
  });

  /** A Docker CLI whose engine, at whatever address, runs these containers. */
  function engineWith(...containers: object[]): void {
    const folder = scratch("docker");
    writeFileSync(join(folder, "containers"), JSON.stringify(containers));
    writeFileSync(
      join(folder, "images"),
      JSON.stringify([{ Id: "sha256:1", Config: { Env: ["PATH=/bin"] } }]),
    );
    const script = `#!/bin/sh
case "$*" in
  *image*inspect*) cat ${folder}/images ;;
  *inspect*) cat ${folder}/containers ;;
  *) echo 1 ;;
esac
`;
    writeFileSync(join(folder, "docker"), script);
    chmodSync(join(folder, "docker"), 0o755);
    process.env.PATH = `${folder}:${PATH}`;
  }

  test("gives an entry all that a compose file would, and the rest is told", async () => {
    engineWith(
      container({
        Config: { Image: "ghcr.io/acme/vllm:v7" },
        HostConfig: {
          ...{ DeviceRequests: [{ DeviceIDs: ["nvidia.com/gpu=1"], Count: 0 }], ShmSize: 2 ** 33 },
          ...{ Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }], Memory: 2 ** 35, Privileged: true },
          Devices: [{ PathOnHost: "/dev/infiniband/uverbs0" }],
        },
      }),
    );
    const made = await importStack(["docker"], { stack: "test" });
    expect(made.config.models.old).toMatchObject({
      ...{ engine: "vllm", model: "hf://org/m", image: { repository: "ghcr.io/acme/vllm", tag: "v7" } },
      ...{ gpu: { devices: [1] }, shmMiB: 8192, memoryMiB: 32_768 },
      ...{ ulimits: { memlock: { soft: -1, hard: -1 } }, devices: ["/dev/infiniband/uverbs0"] },
    });
    expect(lost(made)).toEqual({ "old.privileged": "gpubox decides it for each of its containers" });
    expect(made.steps.join("\n")).toContain("docker stop old && npx gpubox up");
  });

  test("has weights in a volume of Docker's own, which are named by their commit and linked", async () => {
    const volume = scratch("volume");
    mkdirSync(join(volume, "hub/models--org--m/refs"), { recursive: true });
    mkdirSync(join(volume, "hub/models--org--m/snapshots/abc123"), { recursive: true });
    writeFileSync(join(volume, "hub/models--org--m/refs/main"), "abc123");
    const Mounts = [
      { Type: "volume", Name: "hf", Source: volume, Destination: "/root/.cache/huggingface", RW: true },
    ];
    engineWith(container({ Mounts }));
    const made = await importStack(["docker"], { stack: "test", from: "docker" });
    expect(made.config.models.old).toMatchObject({ model: "hf://org/m@abc123" });
    expect(made.steps[0]).toContain(`cp -alL ${volume}/hub/models--org--m/snapshots/abc123/. `);
  });

  test("on another machine is not looked for on this one: neither its files nor its GPUs", async () => {
    const folder = scratch("here");
    writeFileSync(join(folder, "l.yaml"), "model_list: []");
    const Mounts = [{ Type: "bind", Source: folder, Destination: "/etc/l", RW: false }];
    engineWith(
      container({ HostConfig: { DeviceRequests: [{ DeviceIDs: ["0"], Count: 0 }] } }),
      container({
        ...{ Name: "/gate", Mounts },
        Config: {
          Image: "ghcr.io/berriai/litellm",
          Entrypoint: ["litellm"],
          Cmd: ["--config", "/etc/l/l.yaml"],
        },
      } as never),
    );
    const address = "ssh://ops@gpu1.example";
    const made = await importStack([address], { stack: "test" });
    expect(made.config.host).toMatchObject({ docker: address, gpus: [{ id: 0, memoryGiB: 24 }] });
    const why = `its config ${folder}/l.yaml is not on this machine; import it from where it is`;
    expect(lost(made)).toEqual({ "gate.volumes": why });
    expect(made.steps.join("\n")).toContain(`docker --host ${address} stop old gate && npx gpubox up`);
  });
});
