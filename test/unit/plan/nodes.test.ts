import fc from "fast-check";
import { parse } from "yaml";
import { composeFile } from "../../../operations/compose/composeFile";
import { flagsIn, planOf, refusedOf, spread } from "../../support/twoHosts";

const VLLM = [
  ...["--tensor-parallel-size", "--pipeline-parallel-size", "--distributed-executor-backend", "--nnodes"],
  ...["--node-rank", "--master-addr", "--master-port", "--headless"],
];

const rank0 = (hosts: ReturnType<typeof spread>) => planOf(hosts, "gpu1").backends[0]!;
const worker = (hosts: ReturnType<typeof spread>, stack = "gpu2") => planOf(hosts, stack).workers[0]!;

describe("one model of vLLM over two hosts with two devices each", () => {
  const hosts = spread(2, 2, { pipelineParallelSize: 2, maxModelLen: 4096 });
  const first = rank0(hosts);
  const second = worker(hosts);
  const [own, theirs] = [first.service.container, second.service.container];

  test("is one command line in two parts, whose ranks the devices of both make", () => {
    const both = {
      ...{ "--tensor-parallel-size": "2", "--pipeline-parallel-size": "2" },
      ...{ "--distributed-executor-backend": "mp", "--nnodes": "2", "--master-addr": "10.77.0.1" },
      "--master-port": expect.stringMatching(/^2\d\d\d1$/),
    };
    expect(flagsIn(own.command, VLLM)).toEqual({ ...both, "--node-rank": "0", "--headless": undefined });
    expect(flagsIn(theirs.command, VLLM)).toEqual({ ...both, "--node-rank": "1", "--headless": true });
    const rest = (command: string[]) =>
      command.filter((word, at) => word !== "--headless" && command[at - 1] !== "--node-rank");
    expect(rest(theirs.command)).toEqual(rest(own.command));
  });

  test("the ranks wait for each other around everything else, so that one that waits holds no device", () => {
    expect(own.entrypoint.slice(0, 4)).toEqual([
      ...["python3", "/etc/gpubox/ranks.py"],
      ...["sh", "/etc/gpubox/device-lock.sh"],
    ]);
    expect(theirs.entrypoint).toEqual(own.entrypoint);
    const said = ({ env }: typeof own) => ({
      hosts: env.GPUBOX_RANKS,
      rank: env.GPUBOX_RANK,
      below: Number(env.GPUBOX_RANKS_PORT) + 1,
      is: JSON.parse(env.GPUBOX_RANKS_IS!),
      address: env.VLLM_HOST_IP,
    });
    const common = {
      hosts: "10.77.0.1=gpu1,10.77.0.2=gpu2",
      below: Number(flagsIn(own.command, VLLM)["--master-port"]),
      is: { generation: expect.stringMatching(/^[0-9a-f]{12,}$/), image: "image/vllm" },
    };
    expect(said(own)).toEqual({ ...common, rank: "0", address: "10.77.0.1" });
    expect(said(theirs)).toEqual({ ...said(own), rank: "1", address: "10.77.0.2" });
    expect(Object.keys(first.service.directory.files)).toContain("ranks.py");
    expect(Object.keys(second.service.directory.files)).toContain("ranks.py");
  });

  test("rank 0 answers behind the one valve, and the others are on the network between the hosts alone", () => {
    expect([own.networks, own.addresses]).toEqual([
      { backends: ["backend-giant"], "joined-fabric": [] },
      { "joined-fabric": "10.77.0.1" },
    ]);
    expect([theirs.networks, theirs.addresses]).toEqual([
      { "joined-fabric": [] },
      { "joined-fabric": "10.77.0.2" },
    ]);
    expect([own.ports, theirs.ports]).toEqual([[], []]);
    const box = planOf(hosts, "gpu2");
    expect([box.backends, box.models, second.service.valves]).toEqual([[], [], undefined]);
    expect(box.networks.at(-1)).toEqual({
      ...{ role: "joined-fabric", name: "fabric", internal: false, external: true },
    });
    expect(planOf(hosts, "gpu1").networks.at(-1)).toEqual(box.networks.at(-1));
  });

  test("a worker is as confined as any server, under its stack's own label, and has the model's files", () => {
    const { readOnly, init, user, restart: _, ...more } = theirs as typeof theirs & { restart?: string };
    expect({ readOnly, init, user, gpu: more.gpu }).toEqual({
      readOnly: own.readOnly,
      init: true,
      user: own.user,
      gpu: { vendor: "nvidia", ids: ["0", "1"] },
    });
    expect(theirs.labels).toEqual({
      "gpubox.stack": "gpu2",
      "gpubox.role": "worker-giant",
      "gpubox.spec": expect.any(String),
    });
    expect(second.weights.map(({ name }) => name)).toEqual(first.weights.map(({ name }) => name));
    expect(planOf(hosts, "gpu2").deviceLocks?.name).toBe("device-locks");
  });

  test("a worker is healthy when the model answers, and its stack is up when it waits", () => {
    expect(theirs.env.GPUBOX_PROBE).toBe("'grep' '-qx' 'serving' '/tmp/gpubox-rank'");
    expect(second.service.gate).toContain("`gpubox up --stack gpu1` proves the model");
    expect(first.service.gate).toBeUndefined();
  });

  test("is replaced stop-first, and says why", () => {
    expect(first.replacement).toEqual({
      kind: "stop-first",
      why: "its ranks on all hosts go and come together",
    });
  });

  test("under Compose each has its address too", () => {
    const services = parse(composeFile(planOf(hosts, "gpu2"))).services;
    expect(services["worker-giant"].networks).toEqual({
      "joined-fabric": { aliases: [], ipv4_address: "10.77.0.2" },
    });
  });
});

test("a change of what the ranks share is another generation at another port; of what clients see is none", () => {
  const of = (entry: Record<string, unknown>) => {
    const { env, command, labels } = rank0(spread(2, 1, entry)).service.container;
    const port = flagsIn(command, VLLM)["--master-port"];
    return { is: env.GPUBOX_RANKS_IS, port, spec: labels["gpubox.spec"] };
  };
  const before = of({ maxModelLen: 4096 });
  const after = of({ maxModelLen: 8192 });
  expect([after.is === before.is, after.port === before.port]).toEqual([false, false]);
  expect(of({ maxModelLen: 4096, aliases: ["local"], rpm: 5, holdSeconds: 9 })).toEqual(before);
});

test("SGLang's ranks have its own words for the same", () => {
  const hosts = spread(2, 2, { engine: "sglang" });
  const flags = ["--tensor-parallel-size", "--nnodes", "--node-rank", "--dist-init-addr", "--headless"];
  const said = (command: string[]) => flagsIn(command, flags);
  const both = {
    ...{ "--tensor-parallel-size": "4", "--nnodes": "2", "--headless": undefined },
    "--dist-init-addr": expect.stringMatching(/^10\.77\.0\.1:2\d\d\d1$/),
  };
  expect(said(rank0(hosts).service.container.command)).toEqual({ ...both, "--node-rank": "0" });
  expect(said(worker(hosts).service.container.command)).toEqual({ ...both, "--node-rank": "1" });
});

test("however many hosts and devices, every rank has its own number and address, and all the same generation", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.constantFrom(0, 1, 2, 4), (count, devices) => {
      const hosts = spread(count, devices);
      const stacks = Object.keys(hosts);
      const containers = [
        rank0(hosts).service.container,
        ...stacks.slice(1).map((stack) => worker(hosts, stack).service.container),
      ];
      expect(containers.map(({ env }) => env.GPUBOX_RANK)).toEqual(stacks.map((_, rank) => String(rank)));
      expect(containers.map(({ addresses }) => addresses?.["joined-fabric"])).toEqual(
        stacks.map((_, rank) => `10.77.0.${rank + 1}`),
      );
      expect(new Set(containers.map(({ env }) => env.GPUBOX_RANKS_IS)).size).toBe(1);
      const ranks = Number(
        flagsIn(containers[0]!.command, ["--tensor-parallel-size"])["--tensor-parallel-size"],
      );
      expect(ranks).toBe(count * Math.max(1, devices));
    }),
    { numRuns: 20 },
  );
});

test("tensor × pipeline that is not the devices of all hosts is refused with the sum; every other product is taken", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 4 }),
      fc.constantFrom(0, 1, 2, 4),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
      (count, devices, tensor, pipeline) => {
        const hosts = spread(count, devices, { tensorParallelSize: tensor, pipelineParallelSize: pipeline });
        const found = refusedOf(hosts);
        if (tensor * pipeline === count * Math.max(1, devices)) expect(found).toEqual([]);
        else {
          expect(found).toHaveLength(1);
          expect(found[0]).toMatch(/^gpubox:models\.giant\.tensorParallelSize: .*\b\d+ hosts/);
        }
      },
    ),
    { numRuns: 60 },
  );
});
