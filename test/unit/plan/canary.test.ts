import { standInSteps } from "../../../configs/kit/steps";
import { renderText } from "../../../configs/kit/text";
import type { BackendPlan } from "../../../configs/kit/types";
import { canarySeconds } from "../../../configs/schema/canary";
import { everyImage, refusals } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const gpu = (memoryGiB: number) => ({ gpu: { devices: [0], memoryGiB } });
const server = (more = {}) => ({ engine: "llamacpp", model: "file:///srv/models/m.gguf", ...more });
const canary = { weight: 5, for: "30m" };

function backends(models: Record<string, unknown>): BackendPlan[] {
  return testPlan({ host: { gpus: [{ id: 0, memoryGiB: 80 }] }, models }, testSecrets, everyImage).backends;
}
const one = (more: Record<string, unknown>) => backends({ m: server(more) })[0]!;
const valveConfig = ({ valve }: BackendPlan) =>
  renderText(valve.directory.files["haproxy.cfg"]!.text, testSecrets);
const stepOf = ({ replacement }: BackendPlan) =>
  replacement.kind === "start-first" ? replacement.beside.script : "";

describe("where a canary runs", () => {
  test("beside the server before, on a device with room for both", () => {
    expect(one({ ...gpu(30), canary }).replacement.kind).toBe("start-first");
  });

  test("on the CPU too: who wants a canary wants it start-first", () => {
    expect(one({ canary }).replacement).toMatchObject({ kind: "start-first", why: "its entry says so" });
  });

  test("of several instances, each when its turn comes", () => {
    const all = backends({ m: server({ canary, instances: [{ name: "a" }, { name: "b" }] }) });
    expect(all.map(({ replacement, service }) => [replacement.kind, service.standIn?.canarySeconds])).toEqual(
      [
        ["start-first", 1800],
        ["start-first", 1800],
      ],
    );
  });

  test.each([
    [
      "a device without room",
      gpu(60),
      / gpubox:models\.m\.canary: A canary serves beside the server before, and it is replaced stop-first: device 0 lacks \d+\.\d GiB for a second copy\. Give it less memory or another device, or remove the key: it is then replaced stop-first, with the gap that the preview names\.$/m,
    ],
    [
      "an entry that wants it stop-first",
      { ...gpu(10), replacement: "stop-first" },
      /it is replaced stop-first: its entry says so\. Remove `replacement` or `canary`\.$/m,
    ],
    ["people who start it", { ...gpu(10), start: "manual" }, /people start and stop it/],
    ["requests that load it", { ...gpu(10), start: "ondemand" }, /a request loads it/],
  ])("it is refused with %s", (_, more, why) => {
    expect(() => one({ ...more, canary })).toThrow(why);
  });

  test("a wish for start-first that has no room is refused once", () => {
    const wishes = () => one({ ...gpu(60), replacement: "start-first", canary });
    expect(wishes).toThrow(/models\.m\.replacement: /);
    expect(wishes).not.toThrow(/models\.m\.canary: /);
  });
});

describe("its entry", () => {
  test.each([
    [{ weight: 51, for: "30m" }, /canary\.weight: /],
    [{ weight: 0, for: "30m" }, /canary\.weight: /],
    [{ weight: 2.5, for: "30m" }, /canary\.weight: /],
    [{ weight: 5 }, /canary\.for: /],
    [{ weight: 5, for: "30" }, /canary\.for: .*Write a number and s, m or h, for example 30m\./],
    [{ weight: 5, for: "25h" }, /canary\.for: .*A canary lasts at most 24 hours\./],
    [{ ...canary, firstToken: 0.5 }, /canary\.firstToken: 0\.5 is not valid\. Write at least 1\./],
    [{ ...canary, firstToken: true }, /canary\.firstToken: .*Write a factor from 1, or false\./],
    [{ ...canary, requests: 0 }, /canary\.requests: /],
    [{ ...canary, error: 1 }, /canary\.error: "error" is no setting here\. Did you mean "errors"\?/],
  ])("%j is refused", (value, problem) => {
    expect(refusals({ engine: "llamacpp", model: "file:///srv/models/m.gguf", canary: value })).toEqual([
      expect.stringMatching(problem),
    ]);
  });

  test.each([
    ["90s", 90],
    ["30m", 1800],
    ["24h", 86_400],
  ])("%s are %i s", (time, seconds) => {
    expect(canarySeconds({ for: time })).toBe(seconds);
  });
});

describe("the step that brings the stand-in up", () => {
  test("gives it its share, and judges it by the margins of the entry, or by their defaults", () => {
    expect(stepOf(one({ ...gpu(30), canary }))).toContain("canary.sh --share 5 ");
    expect(stepOf(one({ ...gpu(30), canary }))).toContain("canary.sh --judge 1800 1 2 20 ");
    const own = { weight: 50, for: "10s", errors: 0, firstToken: false, requests: 3 };
    expect(stepOf(one({ ...gpu(30), canary: own }))).toContain("canary.sh --judge 10 0 0 3 ");
  });

  test("names the commands that end it", () => {
    expect(stepOf(one({ ...gpu(30), canary }))).toContain(
      "Decide before: gpubox model promote m --stack test, or gpubox model revert m --stack test",
    );
  });

  test("may take as long as the canary does", () => {
    const seconds = (plan: BackendPlan) => standInSteps("gpubox-test", plan.service).seconds;
    expect(seconds(one({ ...gpu(30), canary })) - seconds(one(gpu(30)))).toBe(1800);
  });

  test("is no other step without one", () => {
    expect(stepOf(one(gpu(30)))).not.toContain("canary");
  });
});

describe("its valve", () => {
  test("sends the share to the stand-in, and a failed request of it to the server before", () => {
    const config = valveConfig(one({ ...gpu(30), canary }));
    expect(config).toContain("\n  use_backend canary if { var(txn.canary) -m found }\n");
    expect(config).toMatch(
      /\nbackend canary from base\n[\s\S]*\n {2}use-server next if TRUE\n {2}server next standin-m:\d+ weight 0 track model\/next .*\n {2}server before unix@\/tmp\/before\.sock\n/,
    );
  });

  test("times the requests of the port that goes past the gateway too", () => {
    const expose = { port: 8123, key: { secret: "directKey" } };
    const plan = testPlan(
      { host: { gpus: [{ id: 0, memoryGiB: 80 }] }, models: { m: server({ ...gpu(30), canary, expose }) } },
      { ...testSecrets, directKey: "sk-direct-0123456789abcdef" },
      everyImage,
    );
    expect(valveConfig(plan.backends[0]!).split("http-request lua.canary if METH_POST")).toHaveLength(3);
  });

  test("is the same as ever without one", () => {
    const { valve } = one(gpu(30));
    expect(valveConfig(one(gpu(30)))).not.toContain("canary");
    expect(Object.keys(valve.directory.files)).not.toContain("canary.lua");
  });

  test("takes another weight, time or margin without new files", () => {
    const files = (value: object) => one({ ...gpu(30), canary: value }).valve.directory.hash;
    expect(files({ weight: 50, for: "1h", errors: 9 })).toBe(files(canary));
  });
});

test("neither server nor valve is replaced because its entry gets a canary, or loses it", () => {
  const specs = ({ service, valve }: BackendPlan) =>
    [service, valve].map(({ container }) => container.labels["gpubox.spec"]);
  expect(specs(one({ ...gpu(30), canary }))).toEqual(specs(one(gpu(30))));
});
