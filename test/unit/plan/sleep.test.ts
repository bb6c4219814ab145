import { memoryNeed } from "../../../configs/capacity/memory";
import { routesOf } from "../../../configs/engines/routes";
import { renderText } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { demand, gpu, model } from "../../support/demands";
import { amdHost, everyImage, gpuHost, locked, refusals } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const night = { start: "ondemand", group: "night" };
const vllm = { engine: "vllm", model: "hf://acme/one", gpu: { devices: [0] }, maxModelLen: 4096, ...night };
const lock = { "hf://acme/one": locked({}, 15e9), "hf://acme/two": locked({}, 30e9) };

const planned = (models: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  testPlan({ host: gpuHost, models, ...more }, testSecrets, everyImage, lock);
const text = (plan: BoxPlan, file: string) =>
  renderText(plan.groups[0]!.service.directory.files[file]!.text, testSecrets);

describe("a vLLM that sleeps", () => {
  const plan = planned({ one: { ...vllm, sleep: 2 }, two: { ...vllm, model: "hf://acme/two" } });
  const [one, two] = plan.backends.map(({ service }) => service);

  test("takes orders in its own container, and nowhere else", () => {
    expect(one!.container.command.join(" ")).toContain("--enable-sleep-mode --middleware gpubox_sleep.Sleep");
    expect(one!.container.env).toMatchObject({
      PYTHONPATH: "/etc/gpubox",
      GPUBOX_SEAT_SLEEP: "'python3' '/etc/gpubox/gpubox_sleep.py' 'sleep' '2'",
    });
    expect(Object.keys(one!.directory.files)).toContain("gpubox_sleep.py");
    expect(one!.container.env).not.toHaveProperty("VLLM_SERVER_DEV_MODE");
  });

  test("wakes in its turn on its device", () => {
    expect(one!.container.env.GPUBOX_SEAT_WAKE).toBe(
      "'env' 'GPUBOX_PROBE=false' 'sh' '/etc/gpubox/device-lock.sh' 'python3' '/etc/gpubox/gpubox_sleep.py' 'wake' '2'",
    );
  });

  test("keeps the paths of Python that its entry names", () => {
    const [backend] = planned({ one: { ...vllm, sleep: 1, env: { PYTHONPATH: "/opt/own" } } }).backends;
    expect(backend!.service.container.env.PYTHONPATH).toBe("/etc/gpubox:/opt/own");
  });

  test("is known to the scheduler by what it keeps; one that does not sleep has nothing of all this", () => {
    expect(text(plan, "members.lua")).toMatch(
      /name = "one".*\n {6}needs = .*\n {6}asleep = \{ \["0"\] = 1760 \},\n {6}idle = 300/,
    );
    expect(text(plan, "members.lua").split("asleep").length).toBe(2);
    expect(two!.container.command.join(" ")).not.toMatch(/sleep/);
    expect(Object.keys(two!.container.env).filter((name) => /SLEEP|WAKE|PYTHONPATH/.test(name))).toEqual([]);
    expect(Object.keys(two!.directory.files)).not.toContain("gpubox_sleep.py");
  });

  test("opens no other path at its valve", () => {
    const entry = (sleep?: 1) => ({ ...vllm, sleep, routes: [], mode: "chat" }) as never;
    expect(routesOf(entry(1))).toEqual(routesOf(entry()));
  });
});

describe("what a sleeper keeps", () => {
  const asleep = (sleep: 1 | 2, enforceEager = false) =>
    memoryNeed(demand("m", { engine: "vllm", enforceEager }, { sleep }), gpu(0, 80));

  test("of a device is what an H200 kept of a model with 36 layers, within 8 %", () => {
    const measured = 1690;
    const four = demand("m", { engine: "vllm" }, { locked: model(8, { layers: 36 }), sleep: 1 });
    const planned = memoryNeed(four, gpu(0, 139.8)).asleepBytes / 2 ** 20;
    expect(planned).toBeGreaterThanOrEqual(measured);
    expect(planned / measured).toBeLessThan(1.08);
  });

  test("is less without graphs, and nothing where nobody asks for it", () => {
    expect(asleep(1, true).asleepBytes).toBe((600 + 512) * 2 ** 20);
    expect(memoryNeed(demand("m", { engine: "vllm" }), gpu(0, 80)).asleepBytes).toBe(0);
  });

  test("of the host's memory is the weights at level 1, in blocks of powers of two, and nothing at level 2", () => {
    expect(asleep(1).hostBytes).toBe(2 * asleep(1).weightBytes);
    expect(asleep(2).hostBytes).toBe(0);
  });

  test("raises the limit of its container", () => {
    const memory = (sleep: number) =>
      planned({ one: { ...vllm, sleep, memoryMiB: 4096 } }).backends[0]!.service.container.memoryMiB;
    expect(memory(1)).toBe(Math.ceil((2 * 15e9) / 2 ** 20) + 2048);
    expect(memory(2)).toBe(4096);
  });

  test("is kept on the device beside the largest of its group: a neighbour that takes what is left gets less", () => {
    const left = (sleep?: number) => {
      const pair = { one: { ...vllm, sleep }, two: { ...vllm, model: "hf://acme/two", sleep } };
      const beside = { ...vllm, start: "auto", group: undefined, maxNumSeqs: 1000 };
      const { backends } = planned({ ...pair, beside });
      return backends.find(({ model }) => model === "beside")!.needs![0]!.mib;
    };
    expect(left() - left(1)).toBe(1760);
  });
});

describe("a sleep", () => {
  const wrong = (models: Record<string, unknown>, groups: Record<string, unknown> = {}) => {
    try {
      planned(models, { groups });
      return [];
    } catch (error) {
      return String(error).split("\n").slice(1);
    }
  };

  test("whose remains never fit beside the others is refused with the sum", () => {
    const pair = { one: { ...vllm, sleep: 1 }, two: { ...vllm, model: "hf://acme/two", sleep: 1 } };
    const needs = text(planned(pair), "members.lua").match(
      /name = "two".*\n.*needs = \{ \["0"\] = (\d+)/,
    )![1];
    const memoryGiB = (Number(needs) + 1000) / 1024;
    expect(wrong(pair, { night: { memoryGiB } })).toEqual([
      expect.stringMatching(
        /gpubox:models\.one\.sleep: two takes \d+\.\d\d GiB of the \d+\.\d\d GiB that the group night may have of device 0, and what sleeps beside it keeps one \(1\.72 GiB\): 0\.75 GiB are missing\. Write gpubox:groups\.night\.memoryGiB: \d+\.\d\d, or remove sleep from one of them\./,
      ),
    ]);
    expect(wrong({ ...pair, one: vllm }, { night: { memoryGiB } })).toEqual([]);
  });

  const own = {
    engine: "container",
    image: { repository: "acme/server", tag: "v1" },
    ...{ command: ["serve"], port: 80, healthPath: "/health", memoryMiB: 2048 },
  };
  const unload = "Remove sleep: after idleSeconds it is unloaded, and the next request loads it again.";
  const at2 = (why: string) =>
    `sleep: At level 2 vLLM reads the weights again, and ${why}. Write sleep: 1, which keeps them in the host's memory.`;
  const known = (shape = {}, more = {}) => ({ lock: { ...locked(shape), ...more } });

  test.each<[string, Record<string, unknown>, Parameters<typeof refusals>[1], string]>([
    [
      "of an engine that has none",
      { ...own, ...night, sleep: 1 },
      {},
      `sleep: engine: container has no sleep from which gpubox can wake it; vLLM on GPUs of NVIDIA and AMD has. ${unload}`,
    ],
    [
      "of SGLang, which gives its weights back for good",
      { ...vllm, engine: "sglang", maxModelLen: undefined, sleep: 1 },
      known(),
      `sleep: engine: sglang has no sleep from which gpubox can wake it; vLLM on GPUs of NVIDIA and AMD has. ${unload}`,
    ],
    [
      "on the CPU",
      { ...vllm, gpu: undefined, sleep: 1 },
      {},
      `sleep: vLLM has no sleep on the CPU. ${unload}`,
    ],
    [
      "on a device whose memory is the host's",
      { ...vllm, sleep: 1 },
      { host: { gpus: [{ id: 0, memoryGiB: 120, unified: true }] }, ...known() },
      `sleep: Its device's memory is the host's, where vLLM's sleep frees little and it may not wake. ${unload}`,
    ],
    [
      "outside a group",
      { ...vllm, start: "auto", group: undefined, sleep: 1 },
      known(),
      "sleep: It means nothing with start: auto. Write start: ondemand, or remove it.",
    ],
    [
      "of a pinned model",
      { ...vllm, pinned: true, sleep: 1 },
      known(),
      "sleep: A pinned model is always loaded, and never sleeps. Remove pinned or sleep.",
    ],
    [
      "at a level that there is not",
      { ...vllm, sleep: 3 },
      known(),
      "sleep: 3 is not valid. Write 1, which keeps its weights in the host's memory, or 2, which reads them again.",
    ],
    [
      "beside vLLM's development mode",
      { ...vllm, sleep: 1, env: { VLLM_SERVER_DEV_MODE: "1" } },
      known(),
      "env.VLLM_SERVER_DEV_MODE: It opens routes that need no key, put the server to sleep and run its code, to everybody who reaches the server. Remove it: sleep needs none of them.",
    ],
    [
      "beside a flag that turns it off",
      { ...vllm, sleep: 1, extraArgs: ["--no-enable-sleep-mode"] },
      known(),
      "extraArgs: It turns off what sleep turns on. Remove one of them.",
    ],
    [
      "at level 2 with adapters",
      { ...vllm, sleep: 2, loraModules: { x: "file:///srv/adapters/x" } },
      known(),
      at2("not those of its adapters"),
    ],
    [
      "at level 2 with a draft",
      { ...vllm, sleep: 2, speculativeConfig: { method: "mtp", num_speculative_tokens: 2 } },
      known(),
      at2("not those of the model that drafts"),
    ],
    [
      "at level 2 with quantised weights",
      { ...vllm, sleep: 2 },
      known({}, { quantization: "fp8" }),
      at2("quantised ones (fp8) may come back in another order"),
    ],
    [
      "at level 2 with experts",
      { ...vllm, sleep: 2 },
      known({ experts: 8 }),
      at2("experts may come back in another order"),
    ],
    [
      "at level 2 with images",
      { ...vllm, sleep: 2 },
      known({ vision: true }),
      at2("those for images and sound may not come back"),
    ],
    [
      "at level 2 with a model of which nothing is known",
      { ...vllm, sleep: 2, gpu: { devices: [0], memoryGiB: 20 } },
      {},
      at2("nobody knows which kind they are: the model is not locked"),
    ],
  ])("%s is refused with the way out", (_, entry, around, problem) => {
    const given = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
    expect(refusals(given, around)).toEqual([problem]);
  });

  const ngram = { speculativeConfig: { method: "ngram", num_speculative_tokens: 4 } };

  test.each([
    [1, gpuHost, {}, {}],
    [2, gpuHost, {}, {}],
    [1, amdHost, {}, {}],
    [1, gpuHost, {}, { experts: 8, vision: true }],
    [2, gpuHost, ngram, {}],
  ])("at level %i is taken where it was seen right", (sleep, host, more, shape) => {
    expect(refusals({ ...vllm, ...more, sleep }, { host, ...known(shape) })).toEqual([]);
  });
});
