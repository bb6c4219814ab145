import fc from "fast-check";
import { parse } from "yaml";
import { containerArgs } from "../../../components/Service";
import { readyDeadline } from "../../../configs/engines/container";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { instancesOf } from "../../../configs/stack/instances";
import { imageRolesOf } from "../../../configs/stack/neededImages";
import { composeFile } from "../../../operations/compose/composeFile";
import { amdHost, boxOf, gpuHost, refusals, served } from "../../support/engines";
import { rawStack, tinyModel } from "../../support/stacks";

const twice = {
  engine: "vllm",
  model: "hf://Qwen/Qwen3-8B",
  instances: [
    { gpu: { devices: [0] }, weight: 2, rpm: 100, tpm: 100_000 },
    { gpu: { devices: [1] }, weight: 1 },
  ],
};

test("each instance has its own container, valve and deployment, under one public name", () => {
  const { plan, deployments } = boxOf({ ...twice, rpm: 50 });
  expect(plan.models).toEqual(["m"]);
  expect(
    plan.backends.map((b) => [
      b.service.container.name,
      b.valve.container.name,
      b.service.container.gpu?.ids,
    ]),
  ).toEqual([
    ["backend-m-1", "valve-m-1", ["0"]],
    ["backend-m-2", "valve-m-2", ["1"]],
  ]);
  expect(deployments.map((d) => d.litellm_params)).toMatchObject([
    { model: "hosted_vllm/m", weight: 2, rpm: 100, tpm: 100_000, num_retries: 1 },
    { model: "hosted_vllm/m", weight: 1, rpm: 50, num_retries: 1 },
  ]);
  expect(deployments.map((d) => d.model_info.id)).toEqual(["m-1", "m-2"]);
  expect(new Set(deployments.map((d) => d.litellm_params.api_base)).size).toBe(2);
});

test("a valve holds no request that a sibling could take, unless the entry says so", () => {
  const config = (entry: Record<string, unknown>) =>
    renderText(boxOf(entry).plan.backends[0]!.valve.directory.files["haproxy.cfg"]!.text, {});
  expect(config(twice)).toContain("lua.hold model 0");
  expect(config({ ...twice, holdSeconds: 5 })).toContain("lua.hold model 5");
  expect(config({ ...twice, instances: undefined, gpu: { devices: [0] } })).toContain("lua.hold model 30");
});

test("instances that share weights share the step that brings them", () => {
  const { plan } = boxOf(twice);
  expect(new Set(plan.backends.map(({ weights }) => weights.map(({ name }) => name).join())).size).toBe(1);
});

test("an instance's container may not take the name of another model's", () => {
  const models = { m: twice, "m-2": { ...twice, instances: undefined, gpu: { devices: [0] } } };
  expect(() => parseStack(rawStack({ host: gpuHost, models }))).toThrow(
    'gpubox:models.m-2: Its container would have the same name as that of "m-2".',
  );
});

test("a name keeps an instance's container, port and deployment when another one is removed", () => {
  const [first, second] = [
    { name: "left", gpu: { devices: [0] } },
    { name: "right", gpu: { devices: [1] } },
  ];
  const identities = (instances: unknown[]) => {
    const { plan, deployments } = boxOf({ ...twice, instances });
    return plan.backends.map((backend, index) => ({
      spec: backend.service.container.labels["gpubox.spec"],
      name: backend.service.container.name,
      deployment: deployments[index]!.model_info.id,
      url: deployments[index]!.litellm_params.api_base,
    }));
  };
  const both = identities([first, second]);
  expect(both.map(({ name, deployment }) => [name, deployment])).toEqual([
    ["backend-m-left", "m-left"],
    ["backend-m-right", "m-right"],
  ]);
  expect(identities([second])).toEqual([both[1]]);
});

test("an instance without a name keeps its number next to a named one", () => {
  const instances = [{ gpu: { devices: [0] } }, { name: "right", gpu: { devices: [1] } }];
  expect(boxOf({ ...twice, instances }).plan.backends.map(({ instance }) => instance)).toEqual([
    "m-1",
    "m-right",
  ]);
});

test.each([
  [{ name: "2" }, 'instances[1]: Its container would have the same name as that of "m-2".'],
  [{ name: "Left" }, 'instances[0].name: "Left" is not valid. Write lower-case letters'],
])("an invalid instance name is refused: %j", (named, problem) => {
  const instances = [{ ...named, gpu: { devices: [0] } }, { gpu: { devices: [1] } }];
  expect(refusals({ ...twice, instances })[0]).toContain(problem);
});

test("any number of instances has identities that differ and begin with the name", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (count) => {
      const entry = parseStack(
        rawStack({
          models: {
            m: {
              engine: "openai",
              instances: Array.from({ length: count }, (_, index) => ({ baseUrl: `http://h${index}/v1` })),
            },
          },
        }),
      ).models.m!;
      const ids = instancesOf("m", entry).map(({ id }) => id);
      expect(ids).toEqual(Array.from({ length: count }, (_, index) => `m-${index + 1}`));
    }),
  );
});

test("a deadline never shrinks with the model, and never ends before a slow disk has been read", () => {
  const bytes = fc.integer({ min: 0, max: 2 ** 41 });
  fc.assert(
    fc.property(bytes, bytes, fc.integer({ min: 0, max: 3600 }), (a, b, compile) => {
      const [small, big] = [Math.min(a, b), Math.max(a, b)];
      expect(readyDeadline(small, compile)).toBeLessThanOrEqual(readyDeadline(big, compile));
      expect(readyDeadline(big, compile)).toBeGreaterThanOrEqual(big / 150_000_000 + compile);
    }),
  );
});

describe("a published port", () => {
  const exposed = {
    ...twice,
    instances: undefined,
    gpu: { devices: [0] },
    expose: { port: 8000, key: { secret: "k" } },
  };

  test("is the valve's, on loopback, with a key from the stack's secrets", () => {
    const { valve } = served(exposed, { secrets: { k: "sk-PLANTED-k" } });
    expect(valve.container.ports).toEqual([{ bind: "127.0.0.1", port: 8000, containerPort: 4003 }]);
    expect(Object.keys(valve.container.networks)).toEqual(["models", "backends", "edge"]);
    const keys = renderText(valve.directory.files["keys.map"]!.text, { k: "sk-k", saltKey: "s" });
    expect(keys).toMatch(/^key:sk-k client$/m);
    expect(keys).toMatch(/^backend [0-9a-f]{64}$/m);
  });

  test("belongs to one model, and to no gateway", () => {
    const secrets = { k: "sk-PLANTED-k" };
    const both = { ...twice, expose: exposed.expose };
    expect(refusals(both, { secrets })).toEqual([
      "instances[1].expose.port: Port 8000 belongs to gpubox:models.m.instances[0].expose.port. Write `expose` into the instances, each with a port of its own.",
    ]);
    expect(refusals({ ...exposed, expose: { port: 4001, key: { secret: "k" } } }, { secrets })).toEqual([
      "expose.port: Port 4001 belongs to gpubox:gateway.adminPort. Choose a free port.",
    ]);
  });

  test("without its secret is refused", () => {
    expect(refusals(exposed)).toEqual([
      "expose.key: The secret k is missing. Set it: pulumi config set --secret gpubox:k.",
    ]);
  });
});

describe("the devices of a container", () => {
  const networks = {
    edge: "e",
    data: "d",
    models: "m",
    backends: "b",
    metrics: "x",
    dashboards: "y",
  };
  const nvidia = { engine: "sglang", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0, 1] } };

  test("NVIDIA's are a request by id, never the `gpus` that takes one only", () => {
    const args = containerArgs(served(nvidia).container, networks);
    expect(args.deviceRequests).toEqual([{ driver: "nvidia", deviceIds: ["0", "1"], capabilities: ["gpu"] }]);
    expect(args).not.toHaveProperty("gpus");
    expect(args.ulimits).toEqual([
      { name: "memlock", soft: -1, hard: -1 },
      { name: "stack", soft: 67108864, hard: 67108864 },
    ]);
  });

  test("AMD's are files and groups, with what its runtime asks for", () => {
    const args = containerArgs(served(nvidia, { host: amdHost }).container, networks);
    expect(args).not.toHaveProperty("deviceRequests");
    expect(args).toMatchObject({
      devices: [
        { hostPath: "/dev/dri", containerPath: "/dev/dri", permissions: "rwm" },
        { hostPath: "/dev/kfd", containerPath: "/dev/kfd", permissions: "rwm" },
      ],
      groupAdds: ["44", "992"],
      ipcMode: "host",
      capabilities: { drops: ["ALL"], adds: ["CAP_SYS_PTRACE"] },
      securityOpts: ["no-new-privileges:true", "seccomp=unconfined"],
    });
  });

  test("Compose has the same in its own syntax", () => {
    const service = (host: Record<string, unknown>) =>
      parse(composeFile(boxOf(nvidia, { host }).plan)).services["backend-m"];
    expect(service(gpuHost)).toMatchObject({
      deploy: {
        resources: {
          reservations: { devices: [{ driver: "nvidia", device_ids: ["0", "1"], capabilities: ["gpu"] }] },
        },
      },
      ulimits: { memlock: { soft: -1, hard: -1 }, stack: { soft: 67108864, hard: 67108864 } },
      shm_size: "16384m",
    });
    expect(service(amdHost)).toMatchObject({
      devices: ["/dev/dri:/dev/dri", "/dev/kfd:/dev/kfd"],
      group_add: ["44", "992"],
      ipc: "host",
      cap_add: ["SYS_PTRACE"],
      security_opt: ["no-new-privileges:true", "seccomp=unconfined"],
    });
  });

  test("a container without any is hidden from them only where there are some", () => {
    expect(served(tinyModel.tiny, { host: gpuHost }).container.env.NVIDIA_VISIBLE_DEVICES).toBe("void");
    expect(served(tinyModel.tiny, { host: {} }).container.env).not.toHaveProperty("NVIDIA_VISIBLE_DEVICES");
  });
});

test("a stack asks for the images that it runs and for no other, each with the model that needs it", () => {
  const roles = (values: Record<string, unknown>) => imageRolesOf(parseStack(rawStack(values)));
  expect(roles({ cache: { mode: "none" }, database: { mode: "none" } })).toEqual([
    { role: "gateway" },
    { role: "edge" },
  ]);
  // Downloads run in the gateway's image: a box without llama.cpp does not resolve its image.
  expect(
    roles({ host: gpuHost, cache: { mode: "none" }, database: { mode: "none" }, models: { twice } }),
  ).toEqual([{ role: "gateway" }, { role: "edge" }, { role: "vllm", model: "twice" }]);
  const models = {
    tiny: tinyModel.tiny,
    twice,
    far: { engine: "openai", baseUrl: "http://far/v1" },
    hears: { engine: "speaches", model: "hf://a/b", gpu: { devices: [2] } },
  };
  expect(roles({ host: gpuHost, models })).toEqual([
    { role: "gateway" },
    { role: "edge" },
    { role: "cache" },
    { role: "database" },
    { role: "speaches-cuda", model: "hears" },
    { role: "llamacpp", model: "tiny" },
    { role: "vllm", model: "twice" },
  ]);
});
