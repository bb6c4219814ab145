import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { planBox } from "../../../configs/plan/box";
import { generatedSecrets, stackJsonSchema } from "../../../configs/stack/config";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { readResolved } from "../../../platform/stack/resolved";
import { readStackFile } from "../../../platform/stack/stackConfig";

const secrets = Object.fromEntries(
  [...generatedSecrets, "kimiDirectKey"].map((name) => [name, `sk-0123456789abcdef-${name}`]),
);

test.each(["box", "dev.example"])("the tracked stack config %s has no mistake", (stack) => {
  expect(() => parseStack(readStackFile(packageDir, stack, secrets))).not.toThrow();
});

function boxPlan(more: Record<string, string> = {}) {
  const raw = readStackFile(packageDir, "box", { ...secrets, ...more });
  return planBox({
    config: parseStack(raw),
    secrets: raw.secrets,
    saltFingerprint: "",
    resolved: readResolved(packageDir, "no-such-stack"),
    assets: loadAssets(packageDir),
  });
}

test("the reference box runs the four backends of its one endpoint, the giant by hand, and one model twice", () => {
  const { backends } = boxPlan();
  expect(backends.map((b) => `${b.instance} ${b.start} ${b.service.container.role}`)).toEqual([
    "gpt-oss-20b-1 auto vllm",
    "gpt-oss-20b-2 auto vllm",
    "kimi-linear auto vllm",
    "qwen3-235b manual llamacpp-cuda13",
    "qwen3-coder auto ollama",
    "qwen3-coder-llama auto llamacpp-cuda",
  ]);
  expect(boxPlan().notes.filter((note) => note.startsWith("No digest"))[0]).toMatch(
    /vllm \(vllm\/vllm-openai:v0\.33\.0\)/,
  );
});

test("the reference box leaves out providers without keys, and says which", () => {
  const local = boxPlan();
  expect(local.models).not.toContain("gpt-5-mini");
  expect(local.notes).toContain("gpt-5-mini is optional and left out: azureApiKey is not set.");
  const keyed = boxPlan({ azureApiKey: "key-0123456789", groqApiKey: "" });
  expect(keyed.models).toContain("gpt-5-mini");
  expect(keyed.notes).toContain("llama-3.3-70b is optional and left out: groqApiKey is not set.");
});

test("the reference box's instances share one name, with limits and weights of their own", () => {
  const config = parse(renderText(boxPlan().gateway.directory.files["config.yaml"]!.text, secrets));
  const own = config.model_list.filter((d: { model_name: string }) => d.model_name === "gpt-oss-20b");
  expect(own).toMatchObject([
    {
      litellm_params: { weight: 2, rpm: 100, tpm: 100000, num_retries: 1 },
      model_info: { id: "gpt-oss-20b-1" },
    },
    {
      litellm_params: { weight: 1, rpm: 60, tpm: 60000, num_retries: 1 },
      model_info: { id: "gpt-oss-20b-2" },
    },
  ]);
  const priced = config.model_list.find((d: { model_name: string }) => d.model_name === "llama-3.1-8b-local");
  expect(priced.model_info.base_model).toBe("groq/llama-3.1-8b-instant");
});

test("the published JSON Schema matches the schemas", () => {
  const published = JSON.parse(readFileSync(join(packageDir, "stack.schema.json"), "utf8"));
  expect(published).toEqual(JSON.parse(JSON.stringify(stackJsonSchema())));
});
