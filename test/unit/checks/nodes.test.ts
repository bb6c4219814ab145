import { locked } from "../../support/engines";
import { type Hosts, planOf, refusedOf, spread } from "../../support/twoHosts";

const at = "gpubox:models.giant";
const nodesOf = (hosts: Hosts) =>
  (hosts.gpu1!.models as { giant: { nodes: Record<string, unknown> } }).giant.nodes;
const spanning = (more: Record<string, unknown>) => {
  const hosts = spread(2, 1);
  return spread(2, 1, { nodes: { ...nodesOf(hosts), ...more } });
};

test("a model over two hosts passes on both of them", () => {
  const hosts = spread(2, 1);
  expect([refusedOf(hosts, "gpu1"), refusedOf(hosts, "gpu2")]).toEqual([[], []]);
});

describe("at the host of rank 0, before anything runs, is refused", () => {
  test.each<[string, Hosts, string[]]>([
    [
      "a product of ranks that is not the devices of all hosts, with the sum and the way out",
      spread(2, 2, { tensorParallelSize: 2, pipelineParallelSize: 3 }),
      [
        `${at}.tensorParallelSize: Tensor 2 × pipeline 3 × data 1 makes 6 ranks, which do not fit on 2 hosts × 2 devices = 4. Make the three multiply to 4.`,
      ],
    ],
    [
      "the ranks of one host alone",
      spread(2, 4, { tensorParallelSize: 4 }),
      [
        `${at}.tensorParallelSize: 4 ranks do not fit on 2 hosts × 4 devices = 8. Make the three multiply to 8: write 8 here.`,
      ],
    ],
    [
      "hosts on the CPU with more ranks than hosts",
      spread(2, 0, { tensorParallelSize: 4 }),
      [
        `${at}.tensorParallelSize: 4 ranks do not fit on 2 hosts × 1 process = 2. Make the three multiply to 2: write 2 here.`,
      ],
    ],
    [
      "an engine that spans no hosts",
      spread(2, 0, { engine: "llamacpp", model: "file:///srv/m.gguf" }),
      [
        `${at}.nodes: "nodes" is no setting here. Did you mean "model"? Or only these engines take it: vllm, sglang. Leave it out.`,
      ],
    ],
    [
      "an address that anybody may reach",
      spanning({ address: "203.0.113.7" }),
      [
        `${at}.nodes.address: 203.0.113.7 is no private address, and whoever reaches the ranks of a model runs code on them. Name the address on the link between the hosts: 10.…, 172.16.… to 172.31.…, 192.168.…, or a tailnet's.`,
      ],
    ],
    [
      "two ranks at one address",
      spanning({ workers: [{ stack: "gpu2", address: "10.77.0.1" }] }),
      [
        `${at}.nodes.workers[0].address: 10.77.0.1 is the address of rank 0 too. Give each host an address of its own.`,
      ],
    ],
    [
      "no address at all",
      spanning({ workers: [{ stack: "gpu2" }] }),
      [`${at}.nodes.workers[0].address: It is missing. Write a string.`],
    ],
    [
      "a host twice",
      spanning({
        workers: [
          { stack: "gpu2", address: "10.77.0.2" },
          { stack: "gpu2", address: "10.77.0.3" },
        ],
      }),
      [
        `${at}.nodes.workers[1].stack: The stack gpu2 is named twice, and a host has one rank's place. Name each host once.`,
      ],
    ],
    [
      "this host as another",
      spanning({ workers: [{ stack: "gpu1", address: "10.77.0.2" }] }),
      [
        `${at}.nodes.workers[0].stack: It is this stack itself, whose host is rank 0. Name the stacks of the other hosts.`,
      ],
    ],
    [
      "a host whose file does not give its devices",
      { ...spread(2, 2), gpu2: { host: {} } },
      [
        `${at}.nodes.workers[0].stack: Pulumi.gpu2.yaml does not join giant, and nobody gives a device of that host away but its own file. Write there gpubox:joins: { giant: { stack: gpu1, gpu: { devices: [0, 1] } } }.`,
      ],
    ],
    [
      "a host that joins the model of another stack",
      spread(2, 1, {}, { join: { stack: "gpu9" } }),
      [
        `${at}.nodes.workers[0].stack: Pulumi.gpu2.yaml joins giant of the stack gpu9. Write there gpubox:joins: { giant: { stack: gpu1, gpu: { devices: [0] } } }.`,
      ],
    ],
    [
      "a host of another architecture, on which no image of the engine is the same",
      spread(2, 1, {}, { host: { arch: "arm64" } }),
      [
        `${at}.nodes.workers[0].stack: That host is arm64 and this one amd64: no image of the engine runs on both with the same kernels. Span hosts of one architecture, or serve the model on one of them.`,
      ],
    ],
    [
      "a host with fewer devices",
      spread(2, 2, {}, { join: { gpu: { devices: [1] } } }),
      [
        `${at}.nodes.workers[0].stack: That host gives it 1 device, and this one 2 devices; every host has as many ranks. Name 2 devices in gpubox:joins.giant.gpu there, or 1 device here.`,
      ],
    ],
    [
      "devices of two vendors",
      spread(2, 1, {}, { host: { gpus: [{ id: 0, memoryGiB: 80, vendor: "amd" }] } }),
      [
        `${at}.nodes.workers[0].stack: Its devices there are amd's and here nvidia's, and no engine's ranks talk across vendors. Span devices of one vendor.`,
      ],
    ],
    [
      "a host whose own file has mistakes",
      spread(2, 1, {}, { host: { arch: "z80" } }),
      [
        `${at}.nodes.workers[0].stack: Pulumi.gpu2.yaml has mistakes in gpubox:host. \`gpubox preview --stack gpu2\` lists them.`,
      ],
    ],
  ])("%s", (_, hosts, expected) => expect(refusedOf(hosts)).toEqual(expected));

  test.each([
    ["canary", { canary: { weight: 5, for: "30m" } }],
    ["sleep", { sleep: 1 }],
    ["group", { group: "big" }],
    ["instances", { instances: [{}, {}] }],
    ["dataParallelSize", { dataParallelSize: 2, tensorParallelSize: 1 }],
  ])("%s beside nodes", (key, entry) => {
    expect(refusedOf(spread(2, 1, entry))).toContainEqual(
      expect.stringMatching(new RegExp(`^${at}\\.${key}: It means nothing beside nodes\\. `)),
    );
  });

  test.each([
    ["start", { start: "ondemand" }, "is not loaded on demand"],
    ["replacement", { replacement: "start-first" }, "is replaced stop-first"],
  ])("%s that a server over hosts cannot have", (key, entry, why) => {
    expect(refusedOf(spread(2, 1, entry))).toContainEqual(
      expect.stringContaining(`${at}.${key}: A server over several hosts ${why}`),
    );
  });

  test.each([
    ["vllm", ["--nnodes", "2"]],
    ["vllm", ["--node-rank", "0"]],
    ["vllm", ["--master-addr", "10.0.0.1"]],
    ["vllm", ["-dp", "2"]],
    ["vllm", ["--distributed-executor-backend", "ray"]],
    ["sglang", ["--dist-init-addr", "10.0.0.1:5000"]],
    ["sglang", ["--nccl-init-addr=10.0.0.1:5000"]],
  ])("%s: %j, which nodes say", (engine, extraArgs) => {
    expect(refusedOf(spread(2, 1, { engine, extraArgs }))).toContainEqual(
      `${at}.extraArgs: "${extraArgs[0]!.split("=")[0]}" is set by gpubox for a model over several hosts. Leave it out: \`nodes\` says all of it.`,
    );
  });
});

describe("at another host is refused", () => {
  const joins = "gpubox:joins.giant";
  test.each<[string, Hosts, string[]]>([
    [
      "a model that the other stack does not have",
      { ...spread(2, 1), gpu1: { models: { giants: { engine: "openai", baseUrl: "http://10.0.0.9/v1" } } } },
      [`${joins}: Pulumi.gpu1.yaml has no model "giant". Did you mean "giants"?`],
    ],
    [
      "a model that does not span this host",
      {
        ...spread(2, 1),
        gpu1: spread(2, 1, { nodes: undefined }).gpu1!,
      },
      [
        `${joins}: giant of the stack gpu1 does not span this host. Write there nodes.workers: [{ stack: gpu2, address: … }], or remove it here.`,
      ],
    ],
    [
      "a stack without a file",
      { gpu2: spread(2, 1).gpu2! },
      [`${joins}: Pulumi.gpu1.yaml was not read. Name another stack.`],
    ],
    [
      "the name of a model of its own",
      (() => {
        const hosts = spread(2, 1);
        const giant = { engine: "openai", baseUrl: "http://10.0.0.9/v1" };
        return { ...hosts, gpu2: { ...hosts.gpu2, models: { giant } } };
      })(),
      [
        `${joins}: "giant" is a model of this stack's own. Rename one of the two: their containers and caches would have the same names.`,
      ],
    ],
    [
      "a device that this host has not",
      spread(2, 1, {}, { join: { gpu: { devices: [7], memoryGiB: 1 } } }),
      [`${joins}.gpu.devices: The host declares no device 7. Use one of: 0, or add it to gpubox:host.gpus.`],
    ],
    [
      "a mistake of the entry, as one of the other file",
      spread(2, 1, { tensorParallelSize: 3 }),
      [
        `${joins}: Of its entry in Pulumi.gpu1.yaml, tensorParallelSize: 3 ranks do not fit on 2 hosts × 1 device = 2. Make the three multiply to 2: write 2 here.`,
      ],
    ],
  ])("%s", (_, hosts, expected) => expect(refusedOf(hosts, "gpu2")).toEqual(expected));

  test("a device that is full already counts what it joins", () => {
    const lock = { "hf://acme/giant": locked(), "hf://acme/other": locked() };
    const hosts = spread(2, 1);
    const own = {
      ...{ engine: "vllm", model: "hf://acme/other" },
      gpu: { devices: [0], memoryGiB: 40 },
    };
    const full =
      "gpubox:joins.giant: giant takes 70.00 GiB by its gpu.memoryGiB on device 0, and 36.00 GiB of 80.00 GiB are left: 34.00 GiB are missing. Leave gpu.memoryGiB out: the planner's own share fits.";
    expect(refusedOf({ ...hosts, gpu2: { ...hosts.gpu2, models: { own } } }, "gpu2", lock)).toEqual([full]);
    expect(planOf(hosts, "gpu2", lock).workers.map(({ model, stack, rank }) => [model, stack, rank])).toEqual(
      [["giant", "gpu1", 1]],
    );
  });
});
