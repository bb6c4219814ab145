import { renderText } from "../../../configs/kit/text";
import type { BackendPlan } from "../../../configs/kit/types";
import { everyImage } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const gpu = (memoryGiB: number) => ({ gpu: { devices: [0], memoryGiB } });
const server = (more = {}) => ({ engine: "llamacpp", model: "file:///srv/models/m.gguf", ...more });

function backends(models: Record<string, unknown>): BackendPlan[] {
  return testPlan({ host: { gpus: [{ id: 0, memoryGiB: 80 }] }, models }, testSecrets, everyImage).backends;
}
const kinds = (models: Record<string, unknown>) =>
  Object.fromEntries(
    backends(models).map(({ instance, replacement: { kind, why } }) => [instance, [kind, why]]),
  );

describe("how a backend is replaced", () => {
  test("start-first where its device has room for a second copy beside everything else", () => {
    expect(kinds({ m: server(gpu(30)) })).toEqual({
      m: ["start-first", "its devices have room for a second copy"],
    });
    expect(kinds({ m: server(gpu(35)), other: server(gpu(12)) })).toMatchObject({
      m: ["stop-first", expect.stringMatching(/^device 0 lacks \d+\.\d GiB for a second copy$/)],
      other: ["start-first", expect.anything()],
    });
  });

  test("start-first for as many as fit together, because one change may replace them all", () => {
    const all = kinds({ a: server(gpu(18)), b: server(gpu(18)), c: server(gpu(18)) });
    expect(Object.values(all).map(([kind]) => kind)).toEqual(["start-first", "stop-first", "stop-first"]);
  });

  test.each([
    ["on the CPU", {}, /^it runs on the CPU, and no plan knows/],
    ["where its entry says so", { ...gpu(10), replacement: "stop-first" }, /^its entry says so$/],
    ["where people start it", { ...gpu(10), start: "manual" }, /^people start and stop it$/],
  ])("stop-first %s", (_, more, why) => {
    expect(kinds({ m: server(more) })).toEqual({ m: ["stop-first", expect.stringMatching(why)] });
  });

  test("stop-first, one after another, where the model has other instances", () => {
    const all = kinds({ m: server({ instances: [{ name: "a" }, { name: "b" }] }) });
    expect(all).toEqual({
      "m-a": ["stop-first", "another instance takes its requests"],
      "m-b": ["stop-first", "another instance takes its requests"],
    });
  });

  test("start-first on the CPU where its entry says so", () => {
    expect(kinds({ m: server({ replacement: "start-first" }) })).toEqual({
      m: ["start-first", "its entry says so"],
    });
  });

  test.each([
    ["no room", gpu(60), /device 0 lacks \d+\.\d GiB for a second copy/],
    ["people who start it", { start: "manual" }, /people start and stop it/],
    ["requests that load it", { start: "ondemand" }, /a request loads it/],
  ])("start-first is refused with %s", (_, more, why) => {
    expect(() => backends({ m: server({ ...more, replacement: "start-first" }) })).toThrow(why);
  });
});

describe("a stand-in", () => {
  const [{ replacement, service, valve }] = backends({ m: server(gpu(30)) }) as [BackendPlan];
  const step = replacement.kind === "start-first" ? replacement.beside : undefined;

  test("is what the new server will be, under another name, and no orphan", () => {
    const { container } = service;
    expect(step?.script).toContain(`'--network-alias' 'standin-m'`);
    for (const word of [container.image, ...container.command, `${container.memoryMiB}m`, '"device=0"'])
      expect(step?.script).toContain(`'${word}'`);
    expect(step?.script).toContain("'gpubox.keep=next'");
    expect(step?.triggers).toEqual([container.labels["gpubox.spec"]]);
  });

  test("gets requests at the valve only while the server itself has none", () => {
    const config = renderText(valve.directory.files["haproxy.cfg"]!.text, testSecrets);
    expect(config).toMatch(
      /\n {2}server backend backend-m:\d+\n {2}server next standin-m:\d+ backup\n {2}server waiting /,
    );
  });

  test("has a name that is no other model's, in a DNS label", () => {
    const long = "x".repeat(55);
    const plans = backends({ m: server(gpu(1)), "m-next": server(gpu(1)), [long]: server(gpu(1)) });
    const names = plans.flatMap(({ service }) => [service.container.name, service.standIn?.name ?? ""]);
    expect(new Set(names).size).toBe(6);
    expect(Math.max(...names.map((name) => name.length))).toBe(63);
  });

  test("has no key where its server asks for none", () => {
    const [{ replacement }] = backends({
      m: { engine: "ollama", model: "qwen3:8b", ...gpu(10) },
    }) as [BackendPlan];
    expect(replacement).toMatchObject({ kind: "start-first", beside: { stdin: ["\n"] } });
  });

  test("learns its key on standard input alone", () => {
    expect(step?.stdin).toEqual([{ secret: "saltKey", as: "derived" }, "\n"]);
    expect(step?.script).not.toContain(testSecrets.saltKey);
  });

  test("changes nothing of the container itself: a model that finds or loses its room is not replaced for that", () => {
    const spec = (models: Record<string, unknown>) =>
      backends(models)[0]!.service.container.labels["gpubox.spec"];
    expect(spec({ m: server({ ...gpu(30), replacement: "stop-first" }) })).toBe(spec({ m: server(gpu(30)) }));
  });
});
