import fc from "fast-check";
import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { entryName, modelName } from "../../../configs/schema/shared";
import { isServed } from "../../../configs/stack/wildcards";
import { chooseModel } from "../../../operations/connect/choice";
import { everyImage } from "../../support/engines";
import { rawStack, testPlan, testSecrets, testSide, tinyModel } from "../../support/stacks";

const groq = { engine: "cloud", model: "groq/*", apiKey: "none" };
const far = { engine: "openai", baseUrl: "http://far.example/v1" };
const plan = (models: Record<string, unknown>) => testPlan({ models }, testSecrets, everyImage);

/** `path: what fix` of every mistake. */
function mistakes(values: Record<string, unknown>): string[] {
  try {
    parseStack(rawStack(values));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

test.each(["*", "openai/*", "claude-*", "lab/m@*"])(
  "%s names an entry for many, and no single model",
  (name) => {
    expect([entryName.safeParse(name).success, modelName.safeParse(name).success]).toEqual([true, false]);
  },
);

test.each(["**", "*x", "a*b", "a/*/b", "/*"])("%s names nothing", (name) => {
  expect(mistakes({ models: { [name]: groq } })).toEqual([
    `gpubox:models.${name}: "${name}" cannot be a model's name. A model's name is letters, digits and . _ : / - @ + [ ], at most 128 characters; one * at its end opens every name that begins so.`,
  ]);
});

test("what it opens is said in a note, is not asked in the proof, and may be listed by names that nobody declared", () => {
  const { notes, gateway, models } = plan({ ...tinyModel, "groq/*": groq, "*": { ...far, model: "*" } });
  expect(notes).toEqual(
    expect.arrayContaining([
      "groq/* opens every name that begins with groq/ and is declared nowhere else: groq/* answers, with this entry's key.",
      "* opens every name that is declared nowhere else: hosted_vllm/* answers, with this entry's key.",
    ]),
  );
  const { models: proven, opens } = JSON.parse(gateway.description);
  expect([Object.keys(proven), opens]).toEqual([["tiny"], ["", "groq/"]]);
  expect(models).toEqual(["*", "groq/*", "tiny"]);
  const rules = JSON.parse(String(gateway.directory.files["guard.json"]!.text[0]));
  expect(rules.many).toBe(true);
});

test("without one, a gateway's files are what they were", () => {
  const { gateway } = plan(tinyModel);
  expect(gateway.description).not.toContain("opens");
  expect(gateway.directory.files["guard.json"]!.text.join()).not.toContain('"many"');
});

test("a key may be given all of them, or one of them", () => {
  const keys = {
    a: { key: { secret: "masterKeyA" }, models: ["groq/*"] },
    b: { key: { secret: "keyB" }, models: ["groq/x", "grok/x"] },
  };
  expect(
    mistakes({ models: { "groq/*": groq }, access: { keys } }).filter((one) => one.includes("no model")),
  ).toEqual(['gpubox:access.keys.b.models[1]: There is no model "grok/x". Did you mean "groq/*"?']);
});

test("a client can be set up for a name that an entry opens, and not for the entry", () => {
  const { config } = testSide({ models: { "groq/*": groq } });
  expect([chooseModel(config, "openai", "groq/x"), chooseModel(config, "openai")]).toEqual([
    "groq/x",
    {
      what: "The stack test declares no chat model that openai could use.",
      fix: "Add one under gpubox:models.",
    },
  ]);
});

test.each<[Record<string, unknown>, string[]]>([
  [
    { "a/*": tinyModel.tiny },
    [
      "gpubox:models.a/*: A server of the box has one model, and cannot answer to every name. Write a name of its own, and the names that clients use as `aliases`.",
    ],
  ],
  [
    { "a/*": { ...groq, aliases: ["b"] } },
    [
      "gpubox:models.a/*.aliases: An alias leads to one model, and this entry is none. Remove it, or declare that model as an entry of its own.",
    ],
  ],
  [
    { "a/*": { ...groq, model: "groq/*/x" } },
    [
      "gpubox:models.a/*.model: What a client writes in place of the * can only be the end of the provider's name. Write one * and put it last, for example openai/*.",
    ],
  ],
  [
    { a: groq },
    [
      'gpubox:models.a.model: "groq/*" stands for many models, and "a" for one. Name the entry by what clients write before the model\'s name, for example "a/*".',
    ],
  ],
  [
    { "*": { engine: "cloud", model: "*", apiKey: "none" } },
    [
      "gpubox:models.*.model: \"*\" is not valid. Write LiteLLM's provider prefix and the provider's name, for example groq/llama-4.",
    ],
  ],
  [
    { m: { ...far, aliases: ["b/*"] } },
    [
      'gpubox:models.m.aliases[0]: "b/*" is not valid. A model\'s name is letters, digits and . _ : / - @ + [ ], at most 128 characters.',
    ],
  ],
])("%j is refused", (models, problems) => expect(mistakes({ models })).toEqual(problems));

test("every name below an entry's beginning is served, and no other", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (start, end) => {
      expect(isServed(`${start}${end}`, [`${start}*`])).toBe(true);
      expect(isServed(end, [`${start}*`])).toBe(end.startsWith(start));
    }),
  );
});
