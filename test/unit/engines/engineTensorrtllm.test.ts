import { renderText } from "../../../configs/kit/text";
import { modelPort } from "../../../configs/stack/instances";
import { amdHost, refusals, served } from "../../support/engines";

const entry = { engine: "tensorrt-llm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0] } };

test("an entry is a whole command line, with underscores", () => {
  const { container } = served({ ...entry, gpu: { devices: [0, 1] }, maxSeqLen: 32768, maxBatchSize: 16 });
  expect(container.entrypoint).toEqual(["trtllm-serve"]);
  expect(container.command).toEqual([
    ...["/srv/gpubox/models/hf/Qwen/Qwen3-8B/main", "--served_model_name", "m", "--host", "0.0.0.0"],
    ...["--port", String(modelPort("m")), "--backend", "pytorch", "--tp_size", "2"],
    ...[
      "--max_seq_len",
      "32768",
      "--max_batch_size",
      "16",
      "--tool_parser",
      "qwen3",
      "--reasoning_parser",
      "qwen3",
    ],
  ]);
  expect(container).toMatchObject({ role: "tensorrt-llm", user: "0:0", shmMiB: 16384 });
});

test("its own YAML is a separate file", () => {
  const config = { kv_cache_config: { enable_block_reuse: false } };
  const { container, service } = served({ ...entry, config });
  expect(container.command.slice(-2)).toEqual(["--config", "/etc/gpubox/trtllm.yaml"]);
  expect(renderText(service.directory.files["trtllm.yaml"]!.text, {})).toBe(
    "kv_cache_config:\n  enable_block_reuse: false\n",
  );
});

test("it supports no key, and /v1/messages is translated for it", () => {
  const { deployment } = served(entry);
  expect(deployment.litellm_params).toMatchObject({ model: "hosted_vllm/m", api_key: "none" });
  expect(deployment.model_info.supported_endpoints).toBeUndefined();
});

test.each([
  [
    {},
    "gpu: TensorRT-LLM has no image for AMD GPUs. Use an engine that has one (llamacpp, vllm, ollama), or leave `gpu` out where the engine runs on the CPU.",
    amdHost,
  ],
  [
    { extraArgs: ["--tp_size=2"] },
    'extraArgs: "--tp_size" is set by gpubox. Use the entry\'s own key for it: tpSize.',
    undefined,
  ],
  [
    { model: "hf://zai-org/GLM-4.5", tools: true },
    'tools: gpubox knows no tool parser of TensorRT-LLM for "hf://zai-org/GLM-4.5". Write toolCallParser, one of: deepseek_v32, deepseekv3, deepseekv3.1, kimi_k2, qwen3, qwen3_coder, or tools: false.',
    undefined,
  ],
])("%j is refused", (change, problem, host) => {
  expect(refusals({ ...entry, ...change }, host ? { host } : {})).toEqual([problem]);
});
