import { parseStack } from "../../../../configs/parse";
import {
  chatModels,
  chooseModel,
  contextsOf,
  endpointAt,
  keySecret,
} from "../../../../operations/connect/choice";
import { clientConnection, clients, script } from "../../../../operations/connect/clients";
import { rawStack, testPlan, testSecrets } from "../../../support/stacks";

const model = (more = {}) => ({ engine: "llamacpp", model: "file:///srv/models/m.gguf", ...more });
const values = {
  gateway: { hosts: ["framework"], bind: "100.64.0.7" },
  models: {
    "a/slashed": model(),
    embedder: model({ mode: "embedding" }),
    giant: model({ start: "manual" }),
    tiny: model({ ctxSize: 8192, aliases: ["small"] }),
    far: { engine: "openai", baseUrl: "http://far:9000/v1", start: "manual" },
  },
};
const config = parseStack(rawStack(values));

test("the model is a chat model, and preferably one that starts by itself", () => {
  expect(chatModels(config)).toEqual(["a/slashed", "tiny", "far", "giant"]);
  expect(chooseModel(config, "openai")).toBe("a/slashed");
  expect(chooseModel(config, "claude-code")).toBe("tiny");
  expect(chooseModel(config, "openai", "small")).toBe("small");
});

test("a model that the client cannot use is refused with those that it can", () => {
  expect(chooseModel(config, "openai", "tinny")).toEqual({
    what: 'The stack test has no chat model "tinny".',
    fix: 'Did you mean "tiny"?',
  });
  expect(chooseModel(config, "openai", "embedder")).toMatchObject({
    what: expect.stringContaining("no chat"),
  });
  expect(chooseModel(config, "claude-code", "a/slashed")).toEqual({
    what: "Claude Code accepts no model with a slash in its name.",
    fix: 'Give "a/slashed" an alias without a slash.',
  });
  expect(chooseModel(parseStack(rawStack({ models: {} })), "openai")).toMatchObject({
    fix: "Add one under gpubox:models.",
  });
});

test("the key is a virtual one that may use the model, if one is declared", () => {
  expect(keySecret(config, "tiny")).toBe("masterKey");
  const access = {
    teams: { apart: { models: ["giant"] } },
    keys: {
      of_team: { key: { secret: "teamKey" }, team: "apart" },
      narrow: { key: { secret: "narrowKey" }, models: ["giant"] },
      alice: { key: { secret: "aliceKey" } },
    },
  };
  const secrets = {
    ...testSecrets,
    teamKey: "sk-PLANTED-team-0123456789",
    narrowKey: "sk-PLANTED-narrow-0123456789",
    aliceKey: "sk-PLANTED-alice-0123456789",
  };
  const keyed = parseStack(rawStack({ ...values, access }, secrets));
  expect(keySecret(keyed, "tiny")).toBe("aliceKey");
  expect(keySecret(keyed, "giant")).toBe("teamKey");
  expect(keySecret(keyed, "tiny", "narrow")).toBe("narrowKey");
  expect(keySecret(keyed, "tiny", "masterKey")).toBe("masterKey");
});

test("the base URL has a host name that the edge answers to", () => {
  const endpoint = "http://100.64.0.7:4000";
  expect(endpointAt(endpoint, config)).toBe("http://framework:4000");
  expect(endpointAt(endpoint, config, "100.64.0.7")).toBe(endpoint);
  expect(endpointAt(endpoint, config, "::1")).toBe("http://[::1]:4000");
  expect(endpointAt(endpoint, config, "elsewhere")).toEqual({
    what: 'The edge does not answer to the host name "elsewhere".',
    fix: "Add it to gpubox:gateway.hosts.",
  });
  const local = parseStack(rawStack({ gateway: { hosts: ["framework"] }, models: {} }));
  expect(endpointAt("http://127.0.0.1:4000", local)).toBe("http://127.0.0.1:4000");
});

test("the limit of a request is known for the box's own models and their aliases", () => {
  expect(contextsOf(testPlan(values))).toEqual({
    "a/slashed": 2048,
    embedder: 2048,
    giant: 2048,
    tiny: 4096,
    small: 4096,
  });
});

const way = {
  ...{ stack: "dev", endpoint: "http://box:4000", model: "tiny", models: ["tiny", "far"] },
  ...{ contexts: { tiny: 65536 }, key: '"$(reveal)"', language: "python" as const },
};

test("agents learn the model's limit, so that they compact in time", () => {
  expect(clientConnection("claude-code", way).env).toMatchObject({
    ANTHROPIC_BASE_URL: "http://box:4000",
    ANTHROPIC_MODEL: "tiny",
    CLAUDE_CODE_MAX_CONTEXT_TOKENS: "65536",
    CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
  });
  const { models } = JSON.parse(clientConnection("opencode", way).file!.text).provider.gpubox;
  expect(models).toEqual({
    tiny: { name: "tiny", limit: { context: 65536, output: 8192 } },
    far: { name: "far" },
  });
  expect(clientConnection("claude-code", way).notes).toEqual([]);
  expect(clientConnection("claude-code", { ...way, contexts: { tiny: 4096 } }).notes[0]).toMatch(
    /^NOTE: .* 4096 tokens/,
  );
});

test.each(clients)("the script for %s reads the key by its command, once, and has the address", (client) => {
  const text = script(clientConnection(client, way), way.key);
  expect(text.split('"$(reveal)"')).toHaveLength(2);
  expect(text).toMatch(
    client === "anthropic" || client === "claude-code" ? /=http:\/\/box:4000$/m : /http:\/\/box:4000\/v1/,
  );
});

test("a value that the shell would interpret is quoted", () => {
  const odd = { ...clientConnection("openhands", way), env: { LLM_MODEL: "it's $HOME" }, notes: [] };
  expect(script(odd, "x").split("\n")[0]).toBe("export LLM_MODEL='it'\\''s $HOME'");
});
