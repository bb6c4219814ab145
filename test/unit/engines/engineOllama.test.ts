import { renderText } from "../../../configs/kit/text";
import { modelPort } from "../../../configs/stack/instances";
import { amdHost, gpuHost, refusals, served } from "../../support/engines";

const entry = { engine: "ollama", model: "qwen3-coder:30b", gpu: { devices: [2] } };

test("its settings are its environment, and nothing is left to the size of the GPU", () => {
  const { container } = served({
    ...entry,
    contextLength: 32768,
    numParallel: 2,
    kvCacheType: "q8_0",
    flashAttention: true,
  });
  expect(container.entrypoint).toEqual(["bash", "/etc/gpubox/entrypoint.sh"]);
  expect(container.command).toEqual(["qwen3-coder:30b"]);
  expect(container.env).toEqual({
    HOME: "/cache",
    OLLAMA_HOST: `0.0.0.0:${modelPort("m")}`,
    OLLAMA_MODELS: "/models",
    OLLAMA_NOPRUNE: "1",
    OLLAMA_NO_CLOUD: "1",
    OLLAMA_KEEP_ALIVE: "-1",
    OLLAMA_MAX_LOADED_MODELS: "1",
    OLLAMA_LOAD_TIMEOUT: `${container.readySeconds}s`,
    OLLAMA_CONTEXT_LENGTH: "32768",
    OLLAMA_NUM_PARALLEL: "2",
    OLLAMA_FLASH_ATTENTION: "1",
    OLLAMA_KV_CACHE_TYPE: "q8_0",
  });
});

test("an embedding model is loaded with a text, because Ollama refuses an empty prompt for it", () => {
  expect(served({ ...entry, mode: "embedding" }).container.command).toEqual(["qwen3-coder:30b", "load"]);
});

test("the valve lets requests through only when the model is loaded, not when the server answers", () => {
  const { valve, container } = served(entry);
  const config = renderText(valve.directory.files["haproxy.cfg"]!.text, {});
  expect(config).toContain("http-check send meth GET uri /api/ps hdr Host backend-m");
  expect(config).toContain(`http-check expect string '"qwen3-coder:30b"'`);
  expect(config).not.toContain("http-check expect status");
  expect(container.health.test.at(-1)).toBe("ollama ps | grep -qF 'qwen3-coder:30b'");
});

test("the model is pulled by Ollama itself into one store for all, before anything is stopped", () => {
  const { weights, service } = served(entry);
  expect(weights[0]?.script).toContain("-v /srv/gpubox/models/ollama:/models image/ollama");
  expect(weights[0]?.script).toMatch(/'gpubox' 'qwen3-coder:30b'$/);
  expect(service.writable).toEqual([
    { path: "/srv/gpubox/models/ollama", uid: 65534, gid: 65534 },
    { path: "/srv/gpubox/backend-m-cache", uid: 65534, gid: 65534 },
  ]);
});

test("it is called by its own name on its OpenAI route; messages are translated", () => {
  const { deployment } = served(entry);
  expect(deployment.litellm_params).toMatchObject({
    model: "hosted_vllm/qwen3-coder:30b",
    api_base: `http://valve-m:${modelPort("m")}/v1`,
    api_key: "none",
  });
  expect(deployment.model_info.supported_endpoints).toBeUndefined();
});

test("AMD has an image of its own; NVIDIA and the CPU share one", () => {
  expect(served({ ...entry, gpu: { devices: [0] } }, { host: amdHost }).container.role).toBe("ollama-rocm");
  expect(served({ ...entry, gpu: undefined }, { host: gpuHost }).container).toMatchObject({
    role: "ollama",
    env: { NVIDIA_VISIBLE_DEVICES: "void" },
  });
});

test.each([
  [
    { model: "qwen3-coder" },
    'model: "qwen3-coder" is not valid. Write Ollama\'s name and tag, for example qwen3-coder:30b, or hf.co/owner/repo:Q4_K_M.',
  ],
  [{ extraArgs: ["--verbose"] }, "extraArgs: `ollama serve` takes no flags. Use `env` for its variables."],
  [
    { env: { OLLAMA_KEEP_ALIVE: "5m" } },
    "env.OLLAMA_KEEP_ALIVE: OLLAMA_KEEP_ALIVE is set by gpubox. Use the entry's own key for it, or leave it out.",
  ],
  [
    { kvCacheType: "q4_0", flashAttention: false },
    "kvCacheType: A KV cache in q4_0 wants flash attention. Remove flashAttention: false, or write kvCacheType: f16.",
  ],
])("%j is refused", (change, problem) => {
  expect(refusals({ ...entry, ...change })).toEqual([problem]);
});
