import { gpuTenants } from "../../../configs/capacity/shortage";
import { renderText } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { servicesOf } from "../../../configs/plan/box";
import { everyImage, gpuHost, locked, refusals } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const own = {
  engine: "container",
  image: { repository: "acme/server", tag: "v1" },
  ...{ command: ["serve"], port: 80, healthPath: "/health", memoryMiB: 2048 },
};
const night = { start: "ondemand", group: "night" };
const gguf = { engine: "llamacpp", model: "file:///srv/models/a.gguf", memoryMiB: 1024 };
const vllm = { engine: "vllm", model: "hf://acme/one", gpu: { devices: [0] }, maxModelLen: 4096 };
const lock = { "hf://acme/one": locked({}, 15e9), "hf://acme/two": locked({}, 30e9) };

const planned = (models: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  testPlan({ host: gpuHost, models, ...more }, testSecrets, everyImage, lock);
const text = (plan: BoxPlan, file: string) =>
  renderText(plan.groups[0]!.service.directory.files[file]!.text, testSecrets);

describe("models of a group", () => {
  const plan = planned({ a: { ...gguf, ...night }, b: { ...own, ...night, priority: 2, idleSeconds: 0 } });

  test("have a container each, a valve each, and a scheduler between them", () => {
    expect(plan.backends.map(({ instance, start, group }) => [instance, start, group])).toEqual([
      ["a", "ondemand", "night"],
      ["b", "ondemand", "night"],
    ]);
    expect(servicesOf(plan).map(({ container }) => container.name)).toEqual(
      expect.arrayContaining(["valve-a", "backend-a", "valve-b", "backend-b", "group-night"]),
    );
    expect(plan.slots).toEqual([]);
  });

  test("run in their engines' own images, where the scheduler reaches them", () => {
    expect(plan.backends[0]!.service.container).toMatchObject({
      role: "llamacpp",
      command: expect.arrayContaining(["--host", "0.0.0.0"]),
    });
  });

  test("run without their engines until a request wants them", () => {
    const { container, writable } = plan.backends[1]!.service;
    expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/seat.sh", "serve"]);
    expect(container.health.test).toEqual(["CMD", "sh", "/etc/gpubox/seat-health.sh"]);
    expect(container.env).toMatchObject({
      ...{ GPUBOX_SEAT_PORT: "80", GPUBOX_SEAT_GRACE: "30" },
      GPUBOX_SEAT_SECONDS: expect.stringMatching(/^\d+$/),
      GPUBOX_SEAT_PROBE: expect.stringContaining("http://127.0.0.1:80/health"),
    });
    expect([container.started, container.readySeconds]).toEqual([true, 60]);
    // The engine ends, or is killed, before Docker kills the seat, which then says that it is away.
    expect(container.stopGraceSeconds).toBe(35);
    expect(writable).toContainEqual({
      ...{ path: "/srv/gpubox/group-night-seats/b", uid: 65_534, gid: 99, sharesGroup: true },
    });
  });

  test("get orders where their engines cannot write", () => {
    const { container, writable } = plan.backends[1]!.service;
    const orders = "/srv/gpubox/group-night-seats/.orders/b";
    expect(container.mounts).toContainEqual({
      ...{ kind: "directory", source: orders, target: "/run/gpubox/orders", readOnly: true },
    });
    expect(writable).toContainEqual({ path: orders, uid: 99, gid: 65_534, sharesGroup: true });
  });

  test("share nothing with another model but their own scheduler", () => {
    const seats = plan.backends.map(({ service }) =>
      service.container.mounts.filter(({ target }) => target === "/run/gpubox/seat"),
    );
    expect(seats.map((mounts) => mounts.map(({ source }) => source))).toEqual([
      ["/srv/gpubox/group-night-seats/a"],
      ["/srv/gpubox/group-night-seats/b"],
    ]);
    for (const { container } of servicesOf(plan))
      expect(container.mounts.map(({ source }) => source).filter((one) => one.endsWith(".sock"))).toEqual([]);
  });

  test("reach their engine by the scheduler, which passes on why one is not there", () => {
    const config = text(plan, "haproxy.cfg");
    expect(config).toContain("http-request lua.seat b");
    expect(config).toContain("server engine backend-b:80 init-addr none");
    const valve = renderText(plan.backends[1]!.valve.directory.files["haproxy.cfg"]!.text, testSecrets);
    expect(valve).toContain("http-check send meth GET uri /gpubox/health hdr Host group-night");
    expect(valve).toMatch(/server backend group-night:\d+/);
    expect(valve).toContain("!{ res.hdr(x-gpubox-group) -m found }");
  });

  test("are let in by the scheduler as far as their valves may send, and its memory holds", () => {
    const limits = (plan: BoxPlan) =>
      [...text(plan, "haproxy.cfg").matchAll(/^ {2}maxconn (\d+)$/gm)].map(([, limit]) => Number(limit));
    // A valve's two listeners take 2000 and 1000, and its check is never behind them.
    expect(limits(planned({ a: { ...gguf, ...night } }))).toEqual([3012, 3010]);
    expect(limits(plan)).toEqual([4002, 3010, 3010]);
  });

  test("are known to the scheduler by their sizes and their rights", () => {
    expect(text(plan, "members.lua")).toContain(
      'budget = { ["host"] = 2048 },\n  members = {\n' +
        '    { name = "a", slug = "a", container = "backend-a", start = "gpubox model start a --stack test",\n' +
        '      needs = { ["host"] = 1024 }, priority = 0, pinned = false,\n' +
        "      idle = 300, wait = 585, ready = ",
    );
    expect(text(plan, "members.lua")).toContain(
      'needs = { ["host"] = 2048 }, priority = 2, pinned = false,\n      idle = 0, wait = 585,',
    );
  });

  test("a change of one replaces neither the scheduler nor another one's container", () => {
    const after = planned({
      a: { ...gguf, ...night },
      b: { ...own, ...night, priority: 2, idleSeconds: 0, command: ["serve", "--faster"] },
      c: { ...own, ...night },
    });
    const hashes = ({ backends, groups }: BoxPlan) =>
      Object.fromEntries(
        [...backends, ...groups].map(({ service: { container } }) => [
          container.name,
          container.labels["gpubox.spec"],
        ]),
      );
    const [before, then] = [hashes(plan), hashes(after)];
    expect([then["backend-a"], then["group-night"]]).toEqual([before["backend-a"], before["group-night"]]);
    expect(then["backend-b"]).not.toBe(before["backend-b"]);
  });
});

describe("a group's budget", () => {
  const pair = { one: { ...vllm, ...night }, two: { ...vllm, ...night, model: "hf://acme/two" } };

  test("is what other models of its devices leave, or what the config says", () => {
    const beside = { ...own, gpu: { devices: [0], memoryGiB: 20 } };
    const [free] = planned({ ...pair, beside }).groups;
    // 80 GiB without the reserve of a twentieth and the neighbour's 20.
    expect(free!.budget).toEqual([{ device: "0", mib: 56 * 1024 }]);
    const [declared] = planned({ ...pair, beside }, { groups: { night: { memoryGiB: 50 } } }).groups;
    expect(declared!.budget).toEqual([{ device: "0", mib: 50 * 1024 }]);
  });

  test("is kept from models outside of it, whatever is loaded", () => {
    const plan = planned(pair, { groups: { night: { memoryGiB: 50 } } });
    expect(plan.devices[0]).toEqual({ device: "0", mib: 76 * 1024 - 50 * 1024 });
    expect(gpuTenants(plan)).toEqual([]);
  });

  const wrong = (models: Record<string, unknown>, groups: Record<string, unknown>) => {
    try {
      planned(models, { groups });
      return [];
    } catch (error) {
      return String(error).split("\n").slice(1);
    }
  };

  test.each([
    [
      "that fits none of its models",
      [pair, { night: { memoryGiB: 8 } }],
      /gpubox:groups\.night\.memoryGiB: The group night may take 8\.00 GiB of device 0, and one needs \d+\.\d\d GiB, two needs \d+\.\d\d GiB, so none of its models fits: \d+\.\d\d GiB are missing\. Write memoryGiB: \d+\.\d\d, or give one and two less context or a group of its own\./,
    ],
    [
      "that the device does not have",
      [pair, { night: { memoryGiB: 90 } }],
      /gpubox:groups\.night\.memoryGiB: The group night may take 90\.00 GiB of device 0, and other models and the reserve leave 76\.00 GiB: 14\.00 GiB are missing\. Write at most memoryGiB: 76\.00, or leave it out to take what is left\./,
    ],
    [
      "that pinned models fill",
      [{ one: { ...pair.one, pinned: true }, two: pair.two }, { night: { memoryGiB: 40 } }],
      /gpubox:groups\.night\.memoryGiB: Pinned in the group night are one \(\d+\.\d\d GiB\): \d+\.\d\d GiB of its 40\.00 GiB of device 0, and two needs \d+\.\d\d GiB beside them: \d+\.\d\d GiB are missing\. Write memoryGiB: \d+\.\d\d, or remove pinned from one of them\./,
    ],
    [
      "of the host's memory",
      [{ a: { ...gguf, ...night }, b: { ...own, ...night } }, { night: { memoryGiB: 1.5 } }],
      /gpubox:groups\.night\.memoryGiB: The group night may take 1\.50 GiB of the host's memory, and b needs 2\.00 GiB: 0\.50 GiB are missing\./,
    ],
  ])("%s is refused with the sum", (_, [models, groups], message) => {
    expect(wrong(models as Record<string, unknown>, groups as Record<string, unknown>)).toEqual([
      expect.stringMatching(message),
    ]);
  });
});

test.each([
  [
    { ...own, group: "night" },
    "group: It means nothing with start: auto. Write start: ondemand, or remove it.",
  ],
  [{ ...own, pinned: true }, "pinned: It means nothing with start: auto."],
  [
    { ...gguf, start: "ondemand", priority: 1 },
    "priority: It means nothing in a slot. Write group in place of slot, or remove it.",
  ],
  [
    { ...gguf, ...night, slot: "s" },
    "slot: A model is in a slot or in a group. Remove one: in a slot one model is loaded at a time, in a group as many as fit.",
  ],
  [{ ...own, ...night, instances: [{}, {}] }, "instances: A model that is loaded on demand has one server."],
  [{ ...own, ...night, waitSeconds: 0 }, "waitSeconds: "],
  [
    { ...own, ...night, timeoutSeconds: 30, waitSeconds: 30 },
    "waitSeconds: The gateway gives up on a request after 30 s, before it has waited that long. Write less than 30, or raise timeoutSeconds.",
  ],
])("%j is refused at its key", (entry, at) => {
  expect(refusals(entry)).toEqual([expect.stringContaining(at)]);
});
