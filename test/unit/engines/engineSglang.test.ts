import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { modelPort } from "../../../configs/stack/instances";
import { amdHost, gpuHost, refusals, served } from "../../support/engines";
import { testSecrets } from "../../support/stacks";

const entry = { engine: "sglang", model: "hf://deepseek-ai/DeepSeek-V3.1@abc", gpu: { devices: [0, 1] } };
const port = String(modelPort("m"));

test("an entry of three keys is a whole command line, with parsers under SGLang's names", () => {
  const { container } = served(entry);
  expect(container.entrypoint).toEqual(["python3", "-m", "sglang.launch_server"]);
  expect(container.command).toEqual([
    ...["--config", "/etc/gpubox/sglang.yaml"],
    ...["--model-path", "/srv/gpubox/models/hf/deepseek-ai/DeepSeek-V3.1/abc", "--served-model-name", "m"],
    ...["--host", "0.0.0.0", "--port", port, "--enable-metrics", "--tensor-parallel-size", "2"],
    ...["--tool-call-parser", "deepseekv31", "--reasoning-parser", "deepseek-v3"],
  ]);
  expect(container).toMatchObject({
    role: "sglang",
    user: "0:0",
    shmMiB: 16384,
    stopGraceSeconds: 120,
    ulimits: [
      { name: "memlock", soft: -1, hard: -1 },
      { name: "stack", soft: 67108864, hard: 67108864 },
    ],
  });
});

test("its key is in its config file, as YAML", () => {
  const { service, container } = served(entry);
  const text = renderText(service.directory.files["sglang.yaml"]!.text, testSecrets);
  expect(parse(text)).toEqual({ "api-key": expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(JSON.stringify(container)).not.toContain("api-key");
});

test("every setting is the engine's own flag", () => {
  const { container } = served({
    ...entry,
    gpu: { devices: [0], memoryGiB: 40 },
    contextLength: 32768,
    maxTotalTokens: 100000,
    maxRunningRequests: 32,
    chunkedPrefillSize: -1,
    kvCacheDtype: "fp8_e4m3",
    dtype: "bfloat16",
    quantization: "fp8",
    disableRadixCache: true,
    disableCudaGraph: true,
    enableMultimodal: true,
    trustRemoteCode: true,
    tools: false,
    reasoningParser: "none",
    loraPaths: { sql: "file:///srv/lora/sql" },
    maxLorasPerBatch: 2,
    speculativeAlgorithm: "NGRAM",
    stopGraceSeconds: 300,
  });
  expect(container.command.slice(11)).toEqual([
    ...["--context-length", "32768", "--mem-fraction-static", "0.5", "--max-total-tokens", "100000"],
    ...["--max-running-requests", "32", "--chunked-prefill-size", "-1", "--kv-cache-dtype", "fp8_e4m3"],
    ...["--dtype", "bfloat16", "--quantization", "fp8", "--disable-radix-cache"],
    ...["--disable-decode-cuda-graph", "--disable-prefill-cuda-graph"],
    ...["--enable-multimodal", "--trust-remote-code", "--enable-lora", "--lora-paths", "sql=/srv/lora/sql"],
    ...["--max-loras-per-batch", "2", "--speculative-algorithm", "NGRAM"],
  ]);
  expect(container.stopGraceSeconds).toBe(300);
});

test("/v1/messages goes to SGLang's own route with Bearer", () => {
  expect(served(entry).deployment).toMatchObject({
    litellm_params: { model: "hosted_vllm/m", api_key: "os.environ/GPUBOX_BACKEND_KEY" },
    model_info: { supported_endpoints: ["/v1/chat/completions", "/v1/messages"] },
  });
});

test.each([
  ["sglang-rocm", amdHost],
  ["sglang-spark", { ...gpuHost, arch: "arm64" }],
])("%s is the image of its hosts", (role, host) => {
  expect(served(entry, { host }).container.role).toBe(role);
});

test.each([
  [
    { gpu: undefined },
    "gpubox:models.m: SGLang has no image for the CPU. Name its GPUs: gpu: { devices: [0] }.",
  ],
  [
    { model: "hf://unsloth/Qwen3-8B-GGUF" },
    "model: gpubox serves GGUF by llama.cpp only. Use engine: llamacpp for it, or name the repository with the safetensors.",
  ],
  [
    { toolCallParser: "deepseek_v31" },
    'toolCallParser: SGLang has no parser "deepseek_v31". Did you mean "deepseekv31"?',
  ],
  [{ extraArgs: ["--api-key", "x"] }, 'extraArgs: "--api-key" is set by gpubox. Leave it out.'],
])("%j is refused", (change, problem) => {
  expect(refusals({ ...entry, ...change })).toEqual([problem]);
});
