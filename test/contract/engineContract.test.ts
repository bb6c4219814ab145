import { broken, type Contract, type Rendered, readContract } from "./engines/contract";

const llamacpp = readContract("llamacpp");
const vllm = readContract("vllm");
const sglang = readContract("sglang");
const ollama = readContract("ollama");

function check(contract: Contract, rendered: Partial<Rendered>): string[] {
  return broken(contract, { argv: contract.commands ? ["serve"] : [], env: {}, endpoints: [], ...rendered });
}

describe("a command line", () => {
  test.each<[string, Contract, string[], string[]]>([
    [
      "an invented flag",
      vllm,
      ["--max-model-length", "4096"],
      ["--max-model-length: no such flag, there is --max-model-len"],
    ],
    [
      "an invented flag of SGLang",
      sglang,
      ["--gpu-memory-utilisation", "0.9"],
      ["--gpu-memory-utilisation: no such flag"],
    ],
    [
      "a flag of another engine",
      llamacpp,
      ["--served-model-name", "x"],
      ["--served-model-name: no such flag"],
    ],
    ["the removed --no-mmap", llamacpp, ["--no-mmap"], ["--no-mmap: no such flag"]],
    ["the removed --mlock", llamacpp, ["--mlock"], ["--mlock: no such flag"]],
    [
      "a flag that is only there to be refused",
      llamacpp,
      ["--draft-max", "4"],
      ["--draft-max: removed: use --spec-draft-n-max or --spec-ngram-mod-n-max"],
    ],
    ["a deprecated flag", sglang, ["--disable-cuda-graph"], ["--disable-cuda-graph: deprecated"]],
    [
      "a wrong choice",
      llamacpp,
      ["--split-mode", "columns"],
      ["--split-mode: columns is none of layer, none, row, tensor"],
    ],
    [
      "a wrong choice after an equals sign",
      vllm,
      ["--performance-mode=fastest"],
      ["--performance-mode: fastest is none of balanced, interactivity, throughput"],
    ],
    [
      "a wrong choice among several in one value",
      llamacpp,
      ["--spec-type", "draft-simple,draft-magic"],
      [
        "--spec-type: draft-magic is none of draft-dflash, draft-dspark, draft-eagle3, draft-mtp, draft-simple, ngram-cache, ngram-map-k, ngram-map-k4v, ngram-mod, ngram-simple, none",
      ],
    ],
    ["a word for a number", vllm, ["--port", "http"], ["--port: http is no int"]],
    ["a fraction for an integer", llamacpp, ["--ctx-size", "4096.5"], ["--ctx-size: 4096.5 is no int"]],
    ["no JSON", vllm, ["--speculative-config", "ngram"], ["--speculative-config: ngram is no json"]],
    ["a missing value", llamacpp, ["--model", "--jinja"], ["--model: 1 value missing"]],
    ["a missing value at the end", llamacpp, ["--jinja", "--model"], ["--model: 1 value missing"]],
    ["a value for a switch", vllm, ["--enforce-eager=true"], ["--enforce-eager: takes no true"]],
    ["a value after a switch", llamacpp, ["--jinja", "on"], ["on: a value without a flag"]],
    ["a flag twice", vllm, ["--port", "1", "--port", "2"], ["--port: given twice"]],
    [
      "a flag by two names",
      vllm,
      ["-tp", "1", "--tensor-parallel-size", "2"],
      ["--tensor-parallel-size: given twice"],
    ],
    ["a switch on and off", llamacpp, ["--jinja", "--no-jinja"], ["--no-jinja: given twice"]],
    ["a second positional word", vllm, ["/models/a", "/models/b"], ["/models/b: a value without a flag"]],
    ["an invented command", ollama, ["start"], ["start: no such command"]],
    ["a flag of another command", ollama, ["serve", "--file", "x"], ["--file: no such flag"]],
  ])("with %s is refused", (_, contract, argv, problems) => {
    expect(check(contract, { argv })).toEqual(problems);
  });

  test.each<[string, Contract, string[]]>([
    ["negative numbers", llamacpp, ["--temp", "-1", "-ngl", "99"]],
    ["words besides numbers", llamacpp, ["--n-gpu-layers", "all"]],
    ["words besides numbers in vLLM", vllm, ["/models/a", "--max-model-len", "auto"]],
    ["several values for one flag", vllm, ["--lora-modules", "a=/a", "b=/b", "--enable-lora"]],
    [
      "names of vLLM's switches that turn off",
      vllm,
      ["--no-enable-prefix-caching", "--disable-log-requests"],
    ],
    ["two choices in one value", llamacpp, ["--spec-type", "draft-simple,ngram-mod"]],
    ["the command of a server", ollama, ["serve"]],
    ["a positional word of a command", ollama, ["create", "mine", "--file", "/tmp/Modelfile"]],
  ])("with %s is accepted", (_, contract, argv) => {
    expect(check(contract, { argv })).toEqual([]);
  });
});

describe("an environment", () => {
  test.each<[string, Contract, Record<string, string>, string[]]>([
    [
      "a typing mistake",
      vllm,
      { VLLM_ENGINE_READY_TIMEOUT: "900" },
      ["VLLM_ENGINE_READY_TIMEOUT: no such variable, there is VLLM_ENGINE_READY_TIMEOUT_S"],
    ],
    [
      "a typing mistake in Ollama's",
      ollama,
      { OLLAMA_NUM_PARALEL: "2" },
      ["OLLAMA_NUM_PARALEL: no such variable, there is OLLAMA_NUM_PARALLEL"],
    ],
    ["a word for a number", ollama, { OLLAMA_NUM_PARALLEL: "two" }, ["OLLAMA_NUM_PARALLEL: two is no int"]],
    [
      "a wrong choice",
      ollama,
      { OLLAMA_KV_CACHE_TYPE: "q5_0" },
      ["OLLAMA_KV_CACHE_TYPE: q5_0 is none of f16, q4_0, q8_0"],
    ],
    [
      "no truth value",
      sglang,
      { SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: "off" },
      ["SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: off is no bool"],
    ],
  ])("with %s is refused", (_, contract, env, problems) => {
    expect(check(contract, { env })).toEqual(problems);
  });

  test("may contain variables that a library or the platform reads", () => {
    const env = { HF_HUB_OFFLINE: "1", CUDA_VISIBLE_DEVICES: "0" };
    const others = [readContract("huggingface"), readContract("platform")];
    expect(broken(vllm, { argv: [], env, endpoints: [] }, others)).toEqual([]);
  });
});

describe("endpoints", () => {
  test("that the engine does not serve are refused", () => {
    const endpoints = [
      { method: "GET", path: "/healthz" },
      { method: "GET", path: "/v1/chat/completions" },
    ];
    expect(check(llamacpp, { endpoints })).toEqual([
      "GET /healthz: no such endpoint",
      "GET /v1/chat/completions: no such endpoint",
    ]);
  });

  test("with parameters match by their shape", () => {
    expect(check(vllm, { endpoints: [{ method: "GET", path: "/v1/responses/resp_1" }] })).toEqual([]);
    expect(check(vllm, { endpoints: [{ method: "GET", path: "/v1/responses/resp_1/more" }] })).toEqual([
      "GET /v1/responses/resp_1/more: no such endpoint",
    ]);
  });
});
