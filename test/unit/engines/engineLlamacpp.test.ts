import { shardsOf } from "../../../configs/engines/source";
import { renderText } from "../../../configs/kit/text";
import { modelPort } from "../../../configs/stack/instances";
import { amdHost, gpuHost, locked, refusals, served } from "../../support/engines";
import { testSecrets } from "../../support/stacks";

const tiny = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" };
const port = String(modelPort("m"));

test("on the CPU it has a key and a prompt cache that fits its memory", () => {
  const { container, service } = served(tiny);
  expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/device-lock.sh", "/app/llama-server"]);
  expect(container.command).toEqual([
    ...["--model", "/srv/models/tiny.gguf", "--alias", "m", "--host", "0.0.0.0", "--port", port],
    ...["--api-key-file", "/etc/gpubox/api-key", "--ctx-size", "4096", "--parallel", "2"],
    ...["--cache-ram", "1024", "--jinja", "--no-webui", "--metrics"],
  ]);
  expect(container).toMatchObject({
    role: "llamacpp",
    user: "65534:65534",
    memoryMiB: 8192,
    stopGraceSeconds: 10,
  });
  expect(renderText(service.directory.files["api-key"]!.text, testSecrets)).toMatch(/^[0-9a-f]{64}\n$/);
});

test("on a GPU nothing depends on the memory that happens to be free", () => {
  const { container } = served({ ...tiny, gpu: { devices: [2] } });
  expect(container.command.join(" ")).toContain("--fit off --n-gpu-layers all");
  expect(container).toMatchObject({ role: "llamacpp-cuda", gpu: { vendor: "nvidia", ids: ["2"] } });
  expect(container.ipc).toBeUndefined();
  expect(container.shmMiB).toBeUndefined();
});

test.each([
  ["llamacpp-cuda13", { gpus: [{ id: 2, memoryGiB: 96, computeCapability: "12.0" }] }],
  [
    "llamacpp-cuda13",
    { arch: "arm64", gpus: [{ id: 2, memoryGiB: 119, unified: true, computeCapability: "12.1" }] },
  ],
  ["llamacpp-cuda", gpuHost],
])("the image is %s where the device asks for it", (role, host) => {
  expect(served({ ...tiny, gpu: { devices: [2] } }, { host }).container.role).toBe(role);
});

test("AMD's devices are served by the ROCm image", () => {
  const { container } = served({ ...tiny, gpu: { devices: [1] } }, { host: amdHost });
  expect(container).toMatchObject({ role: "llamacpp-rocm", groupAdd: ["44", "992"] });
});

test("every setting is the engine's own flag", () => {
  const { container } = served({
    ...tiny,
    gpu: { devices: [2] },
    nGpuLayers: 20,
    cacheTypeK: "q8_0",
    cacheTypeV: "q4_0",
    flashAttn: "on",
    cacheRam: 0,
    mmproj: "file:///srv/models/eyes/mmproj.gguf",
    lora: ["file:///srv/models/lora/a.gguf", "file:///srv/models/lora/b.gguf"],
    threads: 8,
    pooling: "last",
    mode: "embedding",
  });
  expect(container.command.slice(10)).toEqual([
    ...["--ctx-size", "4096", "--parallel", "2", "--threads", "8", "--fit", "off", "--n-gpu-layers", "20"],
    ...["--cache-type-k", "q8_0", "--cache-type-v", "q4_0", "--flash-attn", "on", "--cache-ram", "0"],
    ...["--mmproj", "/srv/models/eyes/mmproj.gguf"],
    ...["--lora", "/srv/models/lora/a.gguf,/srv/models/lora/b.gguf"],
    ...["--embeddings", "--pooling", "last", "--jinja", "--no-webui", "--metrics"],
  ]);
  expect(container.mounts.map(({ target }) => target)).toEqual([
    "/etc/gpubox",
    "/srv/models",
    "/srv/models/eyes",
    "/srv/models/lora",
  ]);
});

test("a reranker is routed as one, a model that sees says so", () => {
  expect(served({ ...tiny, mode: "rerank" }).deployment.model_info).toEqual({
    id: "m",
    cooldown_time: 0,
    mode: "rerank",
    // Two slots share the context.
    max_input_tokens: 2048,
  });
  const seeing = served({ ...tiny, mmproj: "file:///srv/models/mmproj.gguf" }).deployment;
  expect(seeing.model_info.supports_vision).toBe(true);
});

test("a split GGUF includes all of its parts", () => {
  expect(shardsOf("Q4/big-00001-of-00002.gguf")).toEqual([
    "Q4/big-00001-of-00002.gguf",
    "Q4/big-00002-of-00002.gguf",
  ]);
  expect(shardsOf("small.gguf")).toEqual(["small.gguf"]);
});

test("a model that is not locked gets the time that its memory could take", () => {
  expect(served(tiny).container.readySeconds).toBe(240 + Math.ceil((8192 * 1024 ** 2) / 150e6));
  expect(served({ ...tiny, gpu: { devices: [0, 1] } }).container.readySeconds).toBe(
    240 + Math.ceil((160 * 1024 ** 3) / 150e6),
  );
});

test.each([
  [
    { model: "hf://Qwen/Qwen3-8B" },
    'model: llama.cpp reads GGUF only, and "hf://Qwen/Qwen3-8B" is none. Write hf://owner/repo[@revision]/file.gguf, or use engine: vllm for safetensors.',
  ],
  [
    { model: "hf://unsloth/Qwen3-8B-GGUF" },
    'model: "hf://unsloth/Qwen3-8B-GGUF" names a repository with several files. Write hf://owner/repo[@revision]/file.gguf, or use engine: vllm for safetensors.',
  ],
  [
    { cacheRam: 8192 },
    "cacheRam: A prompt cache of 8192 MiB leaves nothing of 8192 MiB for the model. Raise memoryMiB, or lower cacheRam.",
  ],
  [
    { extraArgs: ["-ngl", "--tools"] },
    'extraArgs: "-ngl" is set by gpubox. Use the entry\'s own key for it: nGpuLayers.',
  ],
  [
    { ctxSize: 131072, parallel: 2 },
    "ctxSize: A context of 65536 tokens is longer than the model's 40960. Write at most 40960.",
  ],
  [
    { mode: "embedding" },
    "pooling: The GGUF is one that chats and names no pooling, so that llama.cpp refuses /v1/embeddings. Write pooling: mean.",
  ],
])("%j is refused", (change, problem) => {
  expect(refusals({ ...tiny, ...change }, { lock: locked() })[0]).toBe(problem);
});

test.each([
  ["a pooling in its entry", { mode: "embedding", pooling: "last" }, locked()],
  ["a pooling in its GGUF", { mode: "embedding" }, locked({ task: "embedding" })],
  ["a GGUF that nobody has looked into", { mode: "embedding" }, undefined],
])("a model that embeds is accepted with %s", (_, change, lock) => {
  expect(refusals({ ...tiny, ...change }, { lock })).toEqual([]);
});
