import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { modelPort } from "../../../configs/stack/instances";
import { composeFile } from "../../../operations/compose/composeFile";
import { amdHost, boxOf, gpuHost, locked, refusals, served } from "../../support/engines";
import { testSecrets } from "../../support/stacks";

const qwen = { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0] } };
const port = String(modelPort("m"));
const weights = "/srv/gpubox/models/hf/Qwen/Qwen3-8B/main";

test("an entry of three keys is a whole command line", () => {
  const { container } = served(qwen);
  expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/with-env.sh"]);
  expect(container.command).toEqual([
    ...["vllm", "serve", weights, "--served-model-name", "m", "--host", "0.0.0.0", "--port", port],
    ...["--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--reasoning-parser", "qwen3"],
    ...["--shutdown-timeout", "60", "--enable-prompt-tokens-details"],
    ...["--disable-access-log-for-endpoints", "/health,/metrics"],
  ]);
  expect(container).toMatchObject({
    role: "vllm",
    image: "image/vllm",
    user: "2000:0",
    gpu: { vendor: "nvidia", ids: ["0"] },
    shmMiB: 4096,
    readOnly: true,
    init: true,
    stopGraceSeconds: 90,
  });
  expect(container.mounts).toEqual([
    { kind: "directory", source: "/srv/gpubox/backend-m", target: "/etc/gpubox", readOnly: true },
    { kind: "directory", source: weights, target: weights, readOnly: true },
    { kind: "directory", source: "/srv/gpubox/backend-m-cache", target: "/cache", readOnly: false },
  ]);
});

test("docker-compose 1.29, which reads YAML 1.1, finds its user and no number of base 60", () => {
  const text = composeFile(boxOf(qwen).plan);
  expect(parse(text, { version: "1.1" })).toEqual(parse(text));
  expect(parse(text, { version: "1.1" }).services["backend-m"].user).toBe("2000:0");
});

test("every setting is the engine's own flag", () => {
  const { container } = served({
    ...qwen,
    gpu: { devices: [0, 1, 2, 3] },
    maxModelLen: 32768,
    pipelineParallelSize: 2,
    enableExpertParallel: true,
    gpuMemoryUtilization: 0.8,
    kvCacheDtype: "fp8",
    dtype: "bfloat16",
    quantization: "awq",
    maxNumSeqs: 64,
    maxNumBatchedTokens: 8192,
    enablePrefixCaching: false,
    enforceEager: true,
    trustRemoteCode: true,
    tools: false,
    reasoningParser: "none",
    limitMmPerPrompt: { image: 4 },
    loraModules: { "sql-writer": "file:///srv/lora/sql" },
    maxLoras: 2,
    maxLoraRank: 32,
    speculativeConfig: { method: "ngram", num_speculative_tokens: 4 },
    shutdownTimeout: 120,
    extraArgs: ["--seed", "1"],
  });
  expect(container.command.slice(9)).toEqual([
    ...["--max-model-len", "32768", "--tensor-parallel-size", "2", "--pipeline-parallel-size", "2"],
    ...["--enable-expert-parallel", "--gpu-memory-utilization", "0.8", "--kv-cache-dtype", "fp8"],
    ...["--dtype", "bfloat16", "--quantization", "awq", "--max-num-seqs", "64"],
    ...["--max-num-batched-tokens", "8192", "--no-enable-prefix-caching", "--enforce-eager"],
    ...["--trust-remote-code", "--limit-mm-per-prompt", '{"image":4}', "--enable-lora"],
    ...["--lora-modules", "sql-writer=/srv/lora/sql", "--max-loras", "2", "--max-lora-rank", "32"],
    ...["--speculative-config", '{"method":"ngram","num_speculative_tokens":4}'],
    ...["--shutdown-timeout", "120", "--enable-prompt-tokens-details"],
    ...["--disable-access-log-for-endpoints", "/health,/metrics", "--seed", "1"],
  ]);
  expect(container.shmMiB).toBe(16384);
  expect(container.stopGraceSeconds).toBe(150);
});

test("what gpubox adds by itself gives way to the entry's own words", () => {
  const own = ["--no-enable-prompt-tokens-details", "--disable_access_log_for_endpoints=/ping"];
  const { command } = served({ ...qwen, extraArgs: own }).container;
  expect(command.slice(command.indexOf("--shutdown-timeout"))).toEqual(["--shutdown-timeout", "60", ...own]);
});

test("an official image older than the flags that every vLLM gets is refused; a fork's tags are its own", () => {
  const image = (repository: string, tag: string) => ({ ...qwen, image: { repository, tag } });
  expect(refusals(image("vllm/vllm-openai", "v0.17.1"))).toEqual([
    "image.tag: vLLM v0.17.1 does not know --shutdown-timeout, with which gpubox starts it. Name v0.18.0 or newer.",
  ]);
  for (const other of [
    image("vllm/vllm-openai", "v0.18.0"),
    image("docker.io/vllm/vllm-openai-rocm", "v0.32.0"),
    image("me/vllm-openai", "v0.3.0"),
  ])
    expect(refusals(other)).toEqual([]);
});

test("a share of the device in GiB becomes vLLM's share of its whole memory, rounded down", () => {
  const { container } = served({ ...qwen, gpu: { devices: [2], memoryGiB: 20 } });
  expect(container.command).toContain("--gpu-memory-utilization");
  expect(container.command[container.command.indexOf("--gpu-memory-utilization") + 1]).toBe("0.833");
});

test("the key between gateway and backend is in a file and in no command line, environment or label", () => {
  const { service, container, deployment } = served(qwen);
  const file = service.directory.files["backend.env"]!;
  expect(renderText(file.text, testSecrets)).toMatch(/^VLLM_API_KEY='[0-9a-f]{64}'\n$/);
  expect(renderText(file.text, testSecrets)).not.toContain(testSecrets.saltKey);
  expect(service.directory.gid).toBe(0);
  expect(JSON.stringify(container)).not.toContain("API_KEY");
  expect(deployment.litellm_params.api_key).toBe("os.environ/GPUBOX_BACKEND_KEY");
});

test("another master key does not reload any model", () => {
  const label = (secrets = {}) => served(qwen, { secrets }).container.labels["gpubox.spec"];
  expect(label({ masterKey: "sk-PLANTED-other-0123456789abcdef" })).toBe(label());
});

test("its route serves both protocols natively and states what the model can do", () => {
  expect(served({ ...qwen, maxModelLen: 32768 }).deployment).toEqual({
    model_name: "m",
    litellm_params: {
      model: "hosted_vllm/m",
      api_base: `http://valve-m:${port}/v1`,
      api_key: "os.environ/GPUBOX_BACKEND_KEY",
      timeout: 600,
      cooldown_time: 0,
      num_retries: 0,
    },
    model_info: {
      id: "m",
      cooldown_time: 0,
      mode: "chat",
      supported_endpoints: ["/v1/chat/completions", "/v1/messages"],
      max_input_tokens: 32768,
      supports_function_calling: true,
      supports_reasoning: true,
    },
  });
});

test("a model for embeddings runs as a pooling model and offers no chat", () => {
  const { container, deployment } = served({
    ...qwen,
    model: "hf://Qwen/Qwen3-Embedding-8B",
    mode: "embedding",
  });
  expect(container.command.join(" ")).toContain("--runner pooling");
  expect(container.command).not.toContain("--tool-call-parser");
  expect(deployment.model_info).toEqual({ id: "m", cooldown_time: 0, mode: "embedding" });
});

test("a LoRA adapter is a separate model for clients, on the same server", () => {
  const { plan, deployments } = boxOf({ ...qwen, loraModules: { sql: "file:///srv/lora/sql" } });
  expect(plan.models).toEqual(["m", "sql"]);
  expect(deployments.map((d) => [d.model_name, d.litellm_params.model, d.model_info.id])).toEqual([
    ["m", "hosted_vllm/m", "m"],
    ["sql", "hosted_vllm/sql", "sql"],
  ]);
  expect(plan.backends).toHaveLength(1);
});

test("without a GPU it runs the CPU image, with a KV cache that the container's memory can hold", () => {
  const { container } = served({ engine: "vllm", model: qwen.model, memoryMiB: 8192 });
  expect(container).toMatchObject({
    role: "vllm-cpu",
    user: "0:0",
    capAdd: ["CAP_SYS_NICE"],
    securityOpts: ["seccomp=unconfined"],
  });
  expect(container.gpu).toBeUndefined();
  expect(container.env.NVIDIA_VISIBLE_DEVICES).toBe("void");
  expect(container.command.join(" ")).toContain(`--kv-cache-memory-bytes ${2048 * 1024 ** 2}`);
});

test("AMD's devices come as files and numeric groups, with the host's shared memory", () => {
  const { container } = served({ ...qwen, gpu: { devices: [0, 1] } }, { host: amdHost });
  expect(container).toMatchObject({
    role: "vllm-rocm",
    devices: ["/dev/dri", "/dev/kfd"],
    groupAdd: ["44", "992"],
    ipc: "host",
    capAdd: ["CAP_SYS_PTRACE"],
    gpu: { vendor: "amd", ids: ["0", "1"] },
  });
  expect(container.shmMiB).toBeUndefined();
  expect(container.env.ROCR_VISIBLE_DEVICES).toBe("0,1");
  expect(container.command.join(" ")).toContain("--tensor-parallel-size 2");
});

test("the deadline grows with the locked size, and vLLM's own is moved with it", () => {
  const small = served(qwen, { lock: locked({}, 15_000_000_000) }).container;
  const giant = served(qwen, { lock: locked({}, 60_000_000_000) }).container;
  expect(small.readySeconds).toBe(240 + 100 + 300);
  expect(giant.readySeconds).toBe(240 + 400 + 300);
  expect(giant.env.VLLM_ENGINE_READY_TIMEOUT_S).toBe("940");
  expect(giant.health.startPeriodSeconds).toBe(940 + 3600);
  expect(served({ ...qwen, readySeconds: 77 }).container.readySeconds).toBe(77);
});

const REFUSED: [string, Record<string, unknown>, string[], Parameters<typeof refusals>[1]?][] = [
  [
    "a GGUF",
    { model: "hf://unsloth/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf" },
    [
      "model: vLLM does not read GGUF any more. Use engine: llamacpp for it, or name the repository with the safetensors.",
    ],
  ],
  [
    "ranks that are not the devices'",
    { tensorParallelSize: 2 },
    ["tensorParallelSize: 2 ranks do not fit on 1 device. Write 1 here, or name 2 devices in gpu.devices."],
  ],
  [
    "copies and ranks that are not the devices'",
    { gpu: { devices: [0, 1] }, dataParallelSize: 2, tensorParallelSize: 2 },
    [
      "tensorParallelSize: Tensor 2 × pipeline 1 × data 2 makes 4 ranks, which do not fit on 2 devices. Write 1 here, or name 4 devices in gpu.devices.",
    ],
  ],
  [
    "copies that the devices cannot hold",
    { gpu: { devices: [0, 1, 2] }, extraArgs: ["-dp", "2"] },
    [
      "tensorParallelSize: Tensor 1 × pipeline 1 × data 2 makes 2 ranks, which do not fit on 3 devices. Name 2 devices in gpu.devices, or make the three multiply to 3.",
    ],
  ],
  [
    "heads that the ranks do not divide",
    { gpu: { devices: [0, 1, 2] } },
    [
      "tensorParallelSize: 3 ranks do not divide the model's 32 attention heads. Use as many devices as divide 32: 1, 2, 4, 8, 16.",
    ],
    { lock: locked() },
  ],
  [
    "a context beyond the model's",
    { maxModelLen: 65536 },
    ["maxModelLen: A context of 65536 tokens is longer than the model's 40960. Write at most 40960."],
    { lock: locked() },
  ],
  [
    "tools of an unknown family, with the nearest",
    { model: "hf://acme/Quen3-9B", tools: true },
    [
      'tools: gpubox knows no tool parser of vLLM for "hf://acme/Quen3-9B". Write toolCallParser: hermes (as for qwen3), or tools: false.',
    ],
  ],
  [
    "a parser that the release does not have",
    { toolCallParser: "qwen3-coder" },
    ['toolCallParser: vLLM has no parser "qwen3-coder". Did you mean "qwen3_coder"?'],
  ],
  [
    "a flag that gpubox sets",
    { extraArgs: ["--max-model-len=1", "--port", "--seed"] },
    [
      'extraArgs: "--max-model-len" is set by gpubox. Use the entry\'s own key for it: maxModelLen.',
      'extraArgs: "--port" is set by gpubox. Leave it out.',
    ],
  ],
  [
    "a key in plaintext",
    { env: { VLLM_API_KEY: "x" } },
    ["env.VLLM_API_KEY: VLLM_API_KEY is set by gpubox. Use the entry's own key for it, or leave it out."],
  ],
  [
    "a device that the host does not declare",
    { gpu: { devices: [7] } },
    [
      "gpu.devices: The host declares no device 7. Use one of: 0, 1, 2, 3, or add it to gpubox:host.gpus.",
      // What follows from it is not said twice.
    ],
  ],
  [
    "an adapter that is a file",
    { loraModules: { sql: "hf://acme/sql/adapter.gguf" } },
    [
      'loraModules.sql: "hf://acme/sql/adapter.gguf" is no repository of a hub and no directory on the host. Write hf://owner/repo[@revision], or file:///path/of/the/adapter.',
    ],
  ],
  [
    "AMD on arm64",
    {},
    [
      "gpu: vLLM has no image for AMD GPUs on arm64. Use an engine that has one (llamacpp, vllm, ollama), or leave `gpu` out where the engine runs on the CPU.",
    ],
    { host: { ...amdHost, arch: "arm64" } },
  ],
  [
    "AMD without the groups of its device files",
    {},
    [
      "gpubox:host.gpuGroups: The groups of AMD's device files are not known, and a container without them finds no GPU. Write the numbers that stat -c %g /dev/kfd /dev/dri/renderD128 prints on the host.",
    ],
    { host: { gpus: amdHost.gpus } },
  ],
];

test.each(REFUSED.map(([name, change, problems, around]) => ({ name, change, problems, around })))(
  "$name is refused",
  ({ change, problems, around }) => {
    expect(refusals({ ...qwen, ...change }, around)).toEqual(problems);
  },
);

test("a device may be named by its UUID or by a slice's", () => {
  const uuid = "GPU-8f6d0d2c-0000-4000-8000-000000000001";
  const host = { gpus: [...gpuHost.gpus, { id: uuid, memoryGiB: 80 }] };
  expect(served({ ...qwen, gpu: { devices: [uuid] } }, { host }).container.gpu?.ids).toEqual([uuid]);
});

test.each([
  { dataParallelSize: 2 },
  { extraArgs: ["--data-parallel-size", "2"] },
  { extraArgs: ["--data_parallel_size=2"] },
  { extraArgs: ["-dp", "2"] },
])("%j on two devices is two whole copies, each on one of them", (more) => {
  const two = { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0, 1] }, ...more };
  expect(refusals(two, { lock: locked() })).toEqual([]);
  expect(served(two, { lock: locked() }).container.command).not.toContain("--tensor-parallel-size");
});

test("a limit of media may say more than how many", () => {
  const one = { engine: "vllm", model: "hf://Qwen/Qwen3-VL-8B", gpu: { devices: [0] } };
  const limitMmPerPrompt = { image: { count: 4, width: 512 }, video: 0 };
  expect(refusals({ ...one, limitMmPerPrompt })).toEqual([]);
  expect(served({ ...one, limitMmPerPrompt }).container.command).toEqual(
    expect.arrayContaining(["--limit-mm-per-prompt", '{"image":{"count":4,"width":512},"video":0}']),
  );
  expect(refusals({ ...one, limitMmPerPrompt: { image: { counts: 4 } } })).toEqual([
    'limitMmPerPrompt.image.counts: "counts" is no setting here. Leave it out.',
  ]);
});
