import { engines } from "../../../configs/engines";
import { nativeEndpoints, type Protocol } from "../../../configs/engines/engine";
import { familyOf, parsersOf } from "../../../configs/engines/families";
import { sglangParsers } from "../../../configs/engines/parsers/sglang";
import { tensorrtllmParsers } from "../../../configs/engines/parsers/tensorrtllm";
import { vllmParsers } from "../../../configs/engines/parsers/vllm";

test.each([
  ["hf://Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder"],
  ["hf://Qwen/Qwen3-235B-A22B-Instruct-2507@main", "qwen3-instruct"],
  ["hf://Qwen/Qwen3-30B-A3B-Thinking-2507", "qwen3-thinking"],
  ["hf://Qwen/Qwen3-8B", "qwen3"],
  ["hf://Qwen/Qwen2.5-72B-Instruct", "qwen2.5"],
  ["hf://meta-llama/Llama-3.1-8B-Instruct", "llama3"],
  ["hf://meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama4"],
  ["hf://mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral"],
  ["hf://mistralai/Magistral-Small-2506", "magistral"],
  ["hf://deepseek-ai/DeepSeek-V3", "deepseek-v3"],
  ["hf://deepseek-ai/DeepSeek-V3.1", "deepseek-v3.1"],
  ["hf://deepseek-ai/DeepSeek-R1-0528", "deepseek-r1"],
  ["hf://moonshotai/Kimi-K2-Instruct", "kimi-k2"],
  ["hf://zai-org/GLM-4.5-Air", "glm-4.5"],
  ["hf://zai-org/GLM-4.6", "glm-4.5"],
  ["hf://openai/gpt-oss-120b", "gpt-oss"],
  ["hf://ibm-granite/granite-3.3-8b-instruct", "granite"],
  ["file:///srv/models/gemma_4_27b/", "gemma-4"],
  ["hf://google/gemma-3-27b-it", "gemma"],
  ["hf://moonshotai/Kimi-Linear-48B-A3B-Instruct", undefined],
  ["hf://acme/llama-tales-3b", undefined],
])("%s is of the family %s", (source, family) => {
  expect(familyOf(source)).toBe(family);
});

test.each([vllmParsers, sglangParsers, tensorrtllmParsers])(
  "the tables of $engine name only parsers that its release has",
  (parsers) => {
    expect(Object.values(parsers.toolsByFamily).filter((name) => !parsers.tools.includes(name))).toEqual([]);
    expect(
      Object.values(parsers.reasoningByFamily).filter((name) => !parsers.reasoning.includes(name)),
    ).toEqual([]);
    expect(new Set(parsers.tools).size).toBe(parsers.tools.length);
  },
);

test("the same model has other parsers under other engines", () => {
  const of = (model: string) =>
    [vllmParsers, sglangParsers, tensorrtllmParsers].map((parsers) => parsersOf({ model }, parsers));
  expect(of("hf://deepseek-ai/DeepSeek-V3.1")).toEqual([
    { tools: "deepseek_v31", reasoning: "deepseek_v3" },
    { tools: "deepseekv31", reasoning: "deepseek-v3" },
    { tools: "deepseekv3.1", reasoning: undefined },
  ]);
  expect(of("hf://openai/gpt-oss-20b").slice(0, 2)).toEqual([
    { tools: "openai", reasoning: "openai_gptoss" },
    { tools: "gpt-oss", reasoning: "gpt-oss" },
  ]);
});

test("an entry's own choice wins over its family's", () => {
  const model = "hf://Qwen/Qwen3-8B";
  const of = (choice: object) => parsersOf({ model, ...choice }, vllmParsers);
  expect(of({ toolCallParser: "qwen3_xml" })).toEqual({ tools: "qwen3_xml", reasoning: "qwen3" });
  expect(of({ tools: false, reasoningParser: "none" })).toEqual({ tools: undefined, reasoning: undefined });
});

describe("the protocols of each engine", () => {
  test.each(Object.entries(engines))(
    "%s says for both protocols how they reach it, and why",
    (_, { protocols }) => {
      const paths = (protocols as Protocol[]).map(({ path }) => path);
      expect(paths).toEqual(expect.arrayContaining(["/v1/chat/completions", "/v1/messages"]));
      expect(new Set(paths).size).toBe(paths.length);
      for (const { why } of protocols as Protocol[]) expect(why).toMatch(/\.$/);
    },
  );

  test("only engines whose own /v1/messages is complete get it", () => {
    const native = Object.entries(engines).filter(([, { protocols }]) =>
      nativeEndpoints(protocols as Protocol[]).includes("/v1/messages"),
    );
    expect(native.map(([name]) => name)).toEqual(["llamacpp", "vllm", "sglang"]);
  });
});
