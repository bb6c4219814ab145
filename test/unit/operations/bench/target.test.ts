import { INPUT_END } from "../../../../configs/kit/hostFiles";
import { parseStack } from "../../../../configs/parse";
import { WISH } from "../../../../operations/bench/cases";
import { settingsFor } from "../../../../operations/bench/measure";
import { keptSchema } from "../../../../operations/bench/results";
import { loadArguments } from "../../../../operations/bench/runLoad";
import { admittedTo, benchTarget, requireServing } from "../../../../operations/bench/target";
import type { ModelStatus } from "../../../../operations/models/status";
import { UserError } from "../../../../platform/process";
import { mistakesOf, rawStack, testPlan, testSecrets } from "../../../support/stacks";

const local = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" };
const values = {
  models: {
    far: { engine: "openai", baseUrl: "http://far:9000/v1" },
    tiny: { ...local, aliases: ["small"], maxParallel: 4, rpm: 60, instances: [{}, { maxParallel: 2 }] },
    vectors: { ...local, mode: "embedding" },
    words: { engine: "ollama", model: "words:1b", mode: "chat" },
  },
};
const config = parseStack(rawStack(values));
const box = { stack: "test", endpoint: "http://127.0.0.1:4000" };
const status = (change: Partial<ModelStatus> = {}): ModelStatus => ({
  ...{
    model: "tiny",
    instance: "tiny-1",
    engine: "llamacpp",
    aliases: [],
    listed: true,
    up: true,
    loaded: true,
  },
  ...{ state: "loaded", requestsPerMinute: 0, requestsNow: 0, memoryKills: 0 },
  ...change,
});

/** What is wrong, and what to do. */
function refusal(ask: () => unknown): string[] {
  try {
    ask();
  } catch (error) {
    if (error instanceof UserError) return [error.what, error.fix];
    throw error;
  }
  return [];
}

describe("what can be measured", () => {
  test("is a model that chats, by its name or an alias; engines that know how go on to the last token", () => {
    const tiny = { name: "tiny", path: "/v1/chat/completions", goesOn: true };
    expect([benchTarget(config, "tiny"), benchTarget(config, "small")]).toEqual([tiny, tiny]);
    expect(benchTarget(config, "words").goesOn).toBe(false);
  });

  test.each([
    ["tyni", 'The stack test has no model "tyni".', 'Did you mean "tiny"?'],
    ["x", 'The stack test has no model "x".', "Use one of: far, tiny, vectors, words."],
    [
      "vectors",
      "vectors has the mode embedding, and only text that is streamed has a time to its first token.",
      "Name a model with mode: chat or completion.",
    ],
  ])("%s is refused", (called, what, fix) => {
    expect(refusal(() => benchTarget(config, called))).toEqual([what, fix]);
  });

  test("a stack without models says how to have one", () => {
    expect(refusal(() => benchTarget(parseStack(rawStack()), "tiny"))[1]).toBe(
      "Add one under gpubox:models.",
    );
  });

  test.each<[string, Partial<ModelStatus>, string, string]>([
    [
      "a remote model",
      { up: null, loaded: null, state: "elsewhere" },
      "tiny is served elsewhere: its speed is no property of this box, and its tokens may cost money.",
      "Measure it on the box that serves it, or name a model with a server here.",
    ],
    [
      "a box that is not reached",
      { listed: null },
      "The box of test does not answer at http://127.0.0.1:4000.",
      "Run `gpubox doctor --stack test`.",
    ],
    [
      "a model that is stopped",
      { up: false, loaded: false, state: "not started" },
      "tiny does not serve: not started.",
      "Start it: gpubox model start tiny --stack test.",
    ],
    [
      "a model that loads",
      { loaded: false, state: "loading" },
      "tiny does not serve: loading.",
      "Wait until `gpubox models status` says that it is loaded.",
    ],
    [
      "a model that is new in the file",
      { up: false, loaded: false, state: "not brought up" },
      "tiny does not serve: not brought up.",
      "Bring it up: gpubox up --stack test.",
    ],
    [
      "a model that no gateway lists yet",
      { listed: false },
      "The gateway does not list tiny yet.",
      "Run `gpubox up --stack test`, which brings it to its clients.",
    ],
  ])("%s is refused", (_, change, what, fix) => {
    expect(refusal(() => requireServing(box, "tiny", [status(change)]))).toEqual([what, fix]);
  });

  test("a box with TLS, which this machine may not know by its name, is asked by the load itself", () => {
    const tls = { stack: "test", endpoint: "https://llm.example.com" };
    expect(requireServing(tls, "tiny", [status({ listed: null })])).toEqual([]);
  });

  test("a model of which a part serves, and one that loads on demand, are measured with a note", () => {
    const half = [status(), status({ instance: "tiny-2", up: false, loaded: false })];
    expect(requireServing(box, "tiny", half)).toEqual(["1 of its 2 servers serve: the figures are theirs"]);
    expect(requireServing(box, "tiny", [status({ loaded: null })])).toEqual([
      "it loads on demand: the load may have unloaded another model, and waits for it before it measures",
    ]);
  });
});

test("a model admits what its servers do together, what others have of it is busy, and the gateway has its own bound", () => {
  const busy = [
    status({ requestsNow: 2 }),
    status({ instance: "tiny-2", requestsNow: 1 }),
    status({ model: "x" }),
  ];
  expect(admittedTo(config, "tiny", busy)).toEqual({ atOnce: 6, busy: 3, rpm: 120 });
  expect(admittedTo(config, "words", busy)).toEqual({ busy: 0 });
  const bounded = parseStack(rawStack({ ...values, gateway: { limits: { maxParallel: 5 } } }));
  expect(admittedTo(bounded, "tiny", []).atOnce).toBe(5);
  expect(admittedTo(bounded, "words", []).atOnce).toBe(5);
});

describe("the load", () => {
  const target = benchTarget(config, "tiny");
  const box = testPlan({ models: { tiny: values.models.tiny } });

  test("gets the key in its settings alone, and shares the edge's network", () => {
    const settings = settingsFor({ config, secrets: testSecrets }, target, [], 60);
    expect(settings).toMatchObject({
      ...{ address: ["127.0.0.1", 4000], tls: null, host: "localhost", key: testSecrets.masterKey },
      ...{ path: "/v1/chat/completions", body: { model: "tiny", ignore_eos: true }, requestSeconds: 600 },
    });
    const words = loadArguments(box, "print()");
    expect(words).toEqual(
      expect.arrayContaining(["container:gpubox-test-edge", "gpubox.bench.test", "--rm"]),
    );
    for (const secret of Object.values(testSecrets)) expect(words.join(" ")).not.toContain(secret);
  });

  test("says the certificate's name to an edge with TLS, and sends no key where the edge adds it", () => {
    const tls = structuredClone(config);
    tls.gateway = { ...tls.gateway, hosts: ["llm.example.com"], tls: { acme: { email: "a@b.c" } } as never };
    expect(settingsFor({ config: tls, secrets: testSecrets }, target, [], 60)).toMatchObject({
      ...{ tls: "llm.example.com", host: "llm.example.com" },
    });
    const open = parseStack(rawStack({ ...values, gateway: { auth: "none" } }));
    expect(settingsFor({ config: open, secrets: testSecrets }, target, [], 60).key).toBeNull();
  });
});

test("what is kept is one line, and never the end of an input", () => {
  const kept = keptSchema.parse({ model: "a/b", results: [] });
  expect(`${JSON.stringify(kept)}\n`.split("\n")).toHaveLength(2);
  expect(JSON.stringify(kept)).not.toBe(INPUT_END.trim());
  expect(WISH.requests).toBeGreaterThanOrEqual(2);
});

test.each([
  [{ refusePercent: 0 }, "gpubox:bench.refusePercent: 0 is not valid. Write at least 1."],
  [{ refuse: 25 }, 'gpubox:bench.refuse: "refuse" is no setting here. Did you mean "refusePercent"?'],
  [{ tellPercent: "10" }, 'gpubox:bench.tellPercent: "10" is not valid. Write a number.'],
])("%j is refused in the stack config", (bench, problem) => {
  expect(mistakesOf(rawStack({ bench }))).toEqual([problem]);
});
