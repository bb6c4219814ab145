import { parse } from "yaml";
import { serversOf } from "../../../configs/capacity/servers";
import { renderText } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { servicesOf } from "../../../configs/plan/box";
import { changeNotices, deployedBox } from "../../../configs/plan/changeNotices";
import { composeFile } from "../../../operations/compose/composeFile";
import { amdHost, everyImage, gpuHost, refusals } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const small = { engine: "llamacpp", model: "file:///srv/models/small.gguf", memoryMiB: 2048 };
const large = { ...small, model: "file:///srv/large/large.gguf", memoryMiB: 8192, readySeconds: 900 };
const onDemand = { start: "ondemand", slot: "big" };

const planned = (models: Record<string, unknown>, host: Record<string, unknown> = gpuHost) =>
  testPlan({ host, models }, testSecrets, everyImage);
const pair = { small: { ...small, ...onDemand }, large: { ...large, ...onDemand, idleSeconds: 0 } };
const slotFile = (plan: BoxPlan, name: string) =>
  renderText(plan.slots[0]!.service.directory.files[name]!.text, testSecrets);
const swap = (plan: BoxPlan) => parse(slotFile(plan, "llama-swap.yaml"));

describe("models that share a slot", () => {
  test("have one container between them, and each its own valve and route", () => {
    const plan = planned(pair);
    expect(plan.backends).toEqual([]);
    expect(servicesOf(plan).map(({ container }) => container.name)).toEqual(
      expect.arrayContaining(["slot-big", "valve-small", "valve-large"]),
    );
    expect(servicesOf(plan).filter(({ container }) => container.name === "slot-big")).toHaveLength(1);
    const config = parse(renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets));
    expect(
      config.model_list.map((one: { model_name: string; litellm_params: { api_base: string } }) => [
        one.model_name,
        one.litellm_params.api_base.replace(/:\d+/, ""),
      ]),
    ).toEqual([
      ["large", "http://valve-large/v1"],
      ["small", "http://valve-small/v1"],
    ]);
  });

  test("run in llama-swap's image, with the memory of the largest and the files of all", () => {
    const { container } = planned(pair).slots[0]!.service;
    expect([container.role, container.memoryMiB]).toEqual(["llama-swap", 8192 + 256]);
    expect(container.mounts.map(({ target }) => target)).toEqual([
      "/etc/gpubox",
      "/srv/large",
      "/srv/models",
    ]);
  });

  test("listen on loopback, where only llama-swap calls them, with its own key", () => {
    const plan = planned(pair);
    const { apiKeys, models } = swap(plan);
    for (const [name, { cmd, proxy }] of Object.entries<{ cmd: string; proxy: string }>(models)) {
      expect(cmd).toContain("'--host' '127.0.0.1'");
      expect(cmd).toContain(`'--port' '${new URL(proxy).port}'`);
      expect(cmd).toContain(`'--alias' '${name}'`);
    }
    expect(apiKeys).toEqual([slotFile(plan, "api-key").trim()]);
    expect(JSON.stringify(plan)).not.toContain(apiKeys[0]);
  });

  test("are unloaded after five idle minutes unless their entries say otherwise", () => {
    const { models } = swap(planned(pair));
    expect([models.small.ttl, models.large.ttl]).toEqual([300, 0]);
  });

  test("may load for as long as the slowest of them takes", () => {
    expect(swap(planned(pair)).healthCheckTimeout).toBe(900);
  });

  test("are stopped and counted together, by any of their names", () => {
    expect(serversOf(planned(pair)).map(({ title, names }) => [title, names])).toEqual([
      ["the slot big", ["large", "small"]],
    ]);
  });

  test("are announced together when their container is replaced", () => {
    const before = planned(pair);
    const after = planned({ ...pair, small: { ...pair.small, ctxSize: 8192 } });
    expect(changeNotices(deployedBox(before), before)).toEqual([]);
    expect(changeNotices(deployedBox(before), after)).toEqual([
      "The slot big is replaced in place: what it has loaded is unloaded, and what still runs after 30 s is cut. Requests to large, small wait for it, and load their model again.",
    ]);
  });

  test("are one service of a Compose file", () => {
    const { services } = parse(composeFile(planned(pair)));
    expect(Object.keys(services).filter((name) => /^(slot|backend)-/.test(name))).toEqual(["slot-big"]);
    expect(services["slot-big"].entrypoint).toEqual(["/app/llama-swap"]);
  });
});

test("a model without a slot's name has one of its own", () => {
  const plan = planned({
    "Org/Model.1": { ...small, start: "ondemand" },
    b: { ...small, start: "ondemand" },
  });
  expect(plan.slots.map(({ name, members }) => [name, members.map(({ model }) => model)])).toEqual([
    ["org-model-1", ["Org/Model.1"]],
    ["b", ["b"]],
  ]);
});

test("a valve leads to its slot, and says what a failed load is", () => {
  const plan = planned(pair);
  const { valve } = plan.slots[0]!.members[1]!;
  const config = renderText(valve.directory.files["haproxy.cfg"]!.text, testSecrets);
  const port = plan.slots[0]!.service.container.command.at(-1)!;
  expect(config).toContain(`  server backend slot-big${port}\n`);
  expect(config).toContain("uri /health hdr Host slot-big");
  expect(config).toContain(
    "Model small is not available: its server did not load; the log of the slot big says why",
  );
});

test("up asks a model on demand when it is new or changed, and gives it time to load", () => {
  const readySeconds = (models: Record<string, unknown>) =>
    planned(models).gateway.container.readySeconds - 300;
  const { description } = planned(pair).gateway;
  const { models } = JSON.parse(description) as { models: Record<string, { prove: boolean }> };
  expect(Object.values(models).map(({ prove }) => prove)).toEqual([true, true]);
  expect(readySeconds({ large })).toBe(0);
  expect(readySeconds({ large: pair.large })).toBe(900);
  expect(readySeconds({ large: pair.large, other: { ...pair.large, slot: "other" } })).toBe(1800);
});

test("LiteLLM's own health checks load nothing when somebody turns them on", () => {
  const config = parse(
    renderText(
      planned({ small: pair.small, large }).gateway.directory.files["config.yaml"]!.text,
      testSecrets,
    ),
  );
  expect(
    config.model_list.map((one: { model_info: Record<string, unknown> }) => [
      one.model_info.id,
      one.model_info.disable_background_health_check,
    ]),
  ).toEqual([
    ["large", undefined],
    ["small", true],
  ]);
});

describe("a slot on devices", () => {
  const gpu = { devices: [0], memoryGiB: 20 };
  const models = {
    small: { ...pair.small, gpu },
    large: { ...pair.large, gpu: { devices: [0], memoryGiB: 60 } },
    beside: { ...small, readySeconds: 100, gpu: { devices: [0], memoryGiB: 10 } },
  };

  test("counts as the largest of its models, so that they need not fit together", () => {
    const [slot] = planned(models).slots;
    expect(slot!.needs).toEqual([{ device: "0", mib: 60 * 1024 }]);
    const beside = (memoryGiB: number) => () => {
      const values = { ...models, beside: { ...small, gpu: { devices: [0], memoryGiB } } };
      return testPlan({ host: gpuHost, models: values }, testSecrets, everyImage, {});
    };
    // 80 GiB without their reserve of 5 %.
    expect(beside(16)).not.toThrow();
    expect(beside(17)).toThrow("1.00 GiB are missing");
  });

  test("watches them without locking any: each model does while it loads", () => {
    const plan = planned(models);
    const { container } = plan.slots[0]!.service;
    expect([container.role, container.gpu]).toEqual(["llama-swap-cuda", { vendor: "nvidia", ids: ["0"] }]);
    expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/device-lock.sh", "/app/llama-swap"]);
    expect([container.env.GPUBOX_LOCKS, container.env.GPUBOX_GPUS]).toEqual(["", "1"]);
    const { cmd, env } = swap(plan).models.small;
    expect(cmd).toMatch(/^'sh' '\/etc\/gpubox\/device-lock\.sh' '\/app\/llama-server' /);
    expect(env).toContain("GPUBOX_LOCKS=device-0");
  });

  test("gives a load enough time for the turns of all other engines on its devices, and the other way round", () => {
    const plan = planned(models);
    expect(swap(plan).healthCheckTimeout).toBe(1000);
    expect(plan.backends[0]!.service.container.readySeconds).toBe(1000);
    expect(swap(plan).models.small.env).not.toContain("GPUBOX_READY_SECONDS=1000");
  });

  test("has AMD's with what the container needs for them", () => {
    const amd = { small: { ...pair.small, gpu: { devices: [1], memoryGiB: 20 } } };
    const { container } = planned(amd, amdHost).slots[0]!.service;
    expect([container.role, container.devices, container.groupAdd, container.env]).toEqual([
      "llama-swap-rocm",
      ["/dev/dri", "/dev/kfd"],
      ["44", "992"],
      expect.objectContaining({ ROCR_VISIBLE_DEVICES: "1", GPUBOX_LOCKS: "" }),
    ]);
  });
});

describe("at the preview", () => {
  const gpu = { devices: [0], memoryGiB: 10 };
  const manualHint = "switch with `gpubox model stop` and `start`";

  test.each<[string, Record<string, unknown>, string]>([
    [
      "a slot without start: ondemand",
      { slot: "big" },
      "slot: It means nothing with start: auto. Write start: ondemand, or remove it.",
    ],
    [
      "idleSeconds without start: ondemand",
      { start: "manual", idleSeconds: 5 },
      "idleSeconds: It means nothing with start: manual. Write start: ondemand, or remove it.",
    ],
    [
      "a slot's name that is no part of a container's name",
      { ...onDemand, slot: "../Big" },
      'slot: "../Big" is not valid. A name of a slot or group is lower-case letters, digits and dashes, at most 40 characters.',
    ],
    [
      "idleSeconds below nothing",
      { ...onDemand, idleSeconds: -1 },
      "idleSeconds: -1 is not valid. Write at least 0.",
    ],
    [
      "instances",
      { ...onDemand, instances: [{}, {}] },
      "instances: A model that is loaded on demand has one server. Remove it, or write start: auto.",
    ],
    [
      "a port of its own",
      { ...onDemand, expose: { port: 9000, key: { secret: "portKey" } } },
      "expose: Anybody with its key could also load the other models of its slot. Remove it and ask the model at the gateway, or write start: auto or manual.",
    ],
    [
      "what llama-swap would replace",
      { ...onDemand, env: { A: `\${PORT}` } },
      "env.A: llama-swap would replace what stands in $ and braces, and a line break would end its command. Write it without both, or write start: auto or manual.",
    ],
    [
      "a line break in a flag",
      { ...onDemand, extraArgs: ["--seed", "1\n2"] },
      "extraArgs[1]: llama-swap would replace what stands in $ and braces, and a line break would end its command. Write it without both, or write start: auto or manual.",
    ],
  ])("%s is refused", (_, change, expected) => {
    const secrets = { portKey: "sk-PLANTED-port-0123456789" };
    expect(refusals({ ...small, ...change }, { secrets })).toContainEqual(expected);
  });

  test.each(["openai", "cloud"])("a server that runs elsewhere is refused with the way out: %s", (engine) => {
    expect(refusals({ engine, model: "hf://Qwen/Qwen3-8B", start: "ondemand" })).toContainEqual(
      'start: "ondemand" is not valid. Only a server that this box runs is loaded on demand. Write auto or manual.',
    );
  });

  test("a typo in start is still answered with the nearest word", () => {
    expect(refusals({ engine: "vllm", model: "hf://Qwen/Qwen3-8B", start: "manul" })).toContainEqual(
      'start: "manul" is not valid. Did you mean "manual"?',
    );
  });

  test("models that claim one slot with different devices are refused", () => {
    const other = { ...pair.large, gpu: { devices: [1], memoryGiB: 10 } };
    expect(() => planned({ a: { ...pair.small, gpu }, b: other, c: pair.small })).toThrow(
      [
        "  gpubox:models.b.gpu.devices: The slot big runs on the device 0 for a, and on the device 1 for b. Give all models of a slot the same gpu.devices, or one of them another slot.",
        "  gpubox:models.c.slot: The slot big runs on the device 0 for a, and on the CPU for c. Give all models of a slot the same gpu.devices, or one of them another slot.",
      ].join("\n"),
    );
    const both = { devices: [1, 0], memoryGiB: 10 };
    const same = { a: { ...pair.small, gpu: both }, b: { ...pair.large, gpu: { ...both, devices: [0, 1] } } };
    expect(planned(same).slots).toHaveLength(1);
  });

  test("GPUs on arm64 are refused, for which llama-swap has no image", () => {
    const host = { ...gpuHost, arch: "arm64" };
    expect(refusals({ ...small, ...onDemand, gpu }, { host })).toEqual([
      `start: llama-swap has no image for GPUs on arm64. Write start: manual, and ${manualHint}; or leave \`gpu\` out.`,
    ]);
    expect(refusals({ ...small, ...onDemand }, { host })).toEqual([]);
  });
});
