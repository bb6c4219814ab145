import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseStack } from "../../configs/parse";
import { generatedSecrets, stackJsonSchema } from "../../configs/schema/stack";
import { defaultProjectDir } from "../../runner/project";
import { readStackFile } from "../../runner/stackConfig";

const secrets = Object.fromEntries(generatedSecrets.map((name) => [name, `sk-0123456789abcdef-${name}`]));

test.each(["box", "dev.example"])("the tracked stack config %s has no mistake", (stack) => {
  expect(() => parseStack(readStackFile(defaultProjectDir, stack, secrets))).not.toThrow();
});

test("the reference box declares the four models of its one endpoint", () => {
  const { models } = parseStack(readStackFile(defaultProjectDir, "box", secrets));
  expect(Object.entries(models).map(([name, { engine }]) => `${name} ${engine}`)).toEqual([
    "kimi-linear openai",
    "qwen3-235b openai",
    "qwen3-coder openai",
    "qwen3-coder-llama llamacpp",
  ]);
});

test("the published JSON Schema is what the schemas say", () => {
  const published = JSON.parse(readFileSync(join(defaultProjectDir, "stack.schema.json"), "utf8"));
  expect(published).toEqual(JSON.parse(JSON.stringify(stackJsonSchema())));
});
