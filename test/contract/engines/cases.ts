/** Model entries that use every key of every engine, as a stack config has them. */
export interface Case {
  /** What is particular about it. */
  about: string;
  entry: Record<string, unknown>;
  /** `gpubox:host`, where it matters. */
  host?: Record<string, unknown>;
  /** Which of the hosts that it spans. Default: 0. */
  rank?: number;
}

const oneGpu = { gpus: [{ id: 0, memoryGiB: 80 }] };
const twoGpus = { gpus: [...oneGpu.gpus, { id: 1, memoryGiB: 80 }] };
const amd = {
  gpus: [{ id: 0, memoryGiB: 64, vendor: "amd" }],
  gpuGroups: [44, 992],
};
const intel = { gpus: [{ id: 0, memoryGiB: 24, vendor: "intel" }], gpuGroups: [992] };
const onOne = { devices: [0], memoryGiB: 40 };
const onBoth = { devices: [0, 1] };

const repository = "hf://Qwen/Qwen3-Coder-30B-A3B-Instruct";
const gguf = "file:///srv/models/tiny.gguf";
const adapters = { sql: "file:///srv/adapters/sql", legal: "file:///srv/adapters/legal" };

/** The parts of an entry over two hosts. */
const spread = (entry: Record<string, unknown>): Case[] =>
  [0, 1].map((rank) => ({
    about: `as rank ${rank} of two hosts`,
    host: twoGpus,
    rank,
    entry: {
      ...{ model: repository, gpu: onBoth },
      nodes: {
        network: "fabric",
        address: "10.77.0.1",
        workers: [{ stack: "gpu2", address: "10.77.0.2" }],
      },
      ...entry,
    },
  }));

/** By the engine's name in an entry. */
export const cases: Record<string, Case[]> = {
  llamacpp: [
    { about: "with nothing but its file", entry: { model: gguf } },
    {
      about: "with every knob",
      host: oneGpu,
      entry: {
        model: gguf,
        gpu: onOne,
        ctxSize: 16384,
        parallel: 4,
        threads: 8,
        nGpuLayers: 20,
        cacheTypeK: "q8_0",
        cacheTypeV: "q4_0",
        flashAttn: "on",
        cacheRam: 512,
        mmproj: "file:///srv/models/mmproj.gguf",
        lora: ["file:///srv/adapters/a.gguf", "file:///srv/adapters/b.gguf"],
        modelDraft: "file:///srv/models/draft.gguf",
        chatTemplateFile: "./template.jinja",
        grammarFile: "file:///srv/grammars/json.gbnf",
        extraArgs: ["--no-slots", "--load-mode", "mmap+mlock", "--temp", "-1", "--reasoning-format=deepseek"],
        env: { LLAMA_ARG_THREADS_HTTP: "4" },
      },
    },
    {
      about: "with words of llama.cpp's own",
      entry: {
        model: gguf,
        chatTemplate: "chatml",
        jsonSchemaFile: "./answer.json",
        specType: "ngram-simple",
      },
    },
    {
      about: "with its memory said",
      host: oneGpu,
      entry: {
        model: gguf,
        gpu: onOne,
        ...{ ubatchSize: 1024, swaFull: true, kvUnified: true, kvOffload: false },
        ...{ cpuMoe: true, nCpuMoe: 12, overrideTensor: ["\\.ffn_.*_exps\\.=CPU", "token_embd=CPU"] },
        ...{ ropeScaling: "yarn", ropeScale: 4, yarnOrigCtx: 32768 },
      },
    },
    {
      about: "on two GPUs, with a draft model",
      host: twoGpus,
      entry: {
        ...{ model: gguf, gpu: onBoth, tensorSplit: [3, 1], splitMode: "row" },
        ...{ modelDraft: "file:///srv/models/draft.gguf", nGpuLayersDraft: 12 },
        ...{ cacheTypeKDraft: "q8_0", cacheTypeVDraft: "q8_0" },
      },
    },
    { about: "on demand", entry: { model: gguf, start: "ondemand" } },
    { about: "by Vulkan", host: intel, entry: { model: gguf, gpu: { devices: [0] }, variant: "vulkan" } },
    { about: "on an Intel GPU", host: intel, entry: { model: gguf, gpu: { devices: [0] } } },
    { about: "for embeddings", entry: { model: gguf, mode: "embedding", pooling: "last" } },
    { about: "for reranking", entry: { model: gguf, mode: "rerank", pooling: "rank" } },
  ],
  vllm: [
    { about: "on one GPU", host: oneGpu, entry: { model: repository, gpu: onOne } },
    { about: "on the CPU", entry: { model: repository } },
    { about: "on an Intel GPU", host: intel, entry: { model: repository, gpu: { devices: [0] } } },
    { about: "on an AMD GPU", host: amd, entry: { model: repository, gpu: { devices: [0] } } },
    {
      about: "with every knob",
      host: twoGpus,
      entry: {
        model: repository,
        gpu: onBoth,
        maxModelLen: 65536,
        tensorParallelSize: 1,
        pipelineParallelSize: 2,
        enableExpertParallel: true,
        gpuMemoryUtilization: 0.45,
        kvCacheDtype: "fp8",
        dtype: "bfloat16",
        quantization: "awq_marlin",
        maxNumSeqs: 64,
        maxNumBatchedTokens: 8192,
        enablePrefixCaching: false,
        enforceEager: true,
        trustRemoteCode: true,
        toolCallParser: "hermes",
        reasoningParser: "qwen3",
        chatTemplate: "file:///srv/templates/tool.jinja",
        tokenizer: "hf://Qwen/Qwen3-Coder-30B-A3B-Instruct",
        limitMmPerPrompt: { image: 4, video: 0 },
        loraModules: adapters,
        maxLoras: 2,
        maxLoraRank: 64,
        speculativeConfig: { method: "ngram", num_speculative_tokens: 4 },
        shutdownTimeout: 90,
        extraArgs: ["--sse-keep-alive-interval", "15", "--enable-prompt-tokens-details"],
        env: { VLLM_LOGGING_LEVEL: "WARNING" },
      },
    },
    {
      about: "with parallel ranks",
      host: twoGpus,
      entry: { model: repository, gpu: onBoth, tensorParallelSize: 2 },
    },
    { about: "that sleeps", host: oneGpu, entry: { model: repository, gpu: onOne, sleep: 1 } },
    {
      about: "with copies, and a part in the host's memory",
      host: twoGpus,
      entry: {
        model: repository,
        gpu: onBoth,
        ...{ dataParallelSize: 2, blockSize: 32, cpuOffloadGb: 8, kvOffloadingSize: 16 },
        hfOverrides: { rope_parameters: { rope_type: "yarn", factor: 4 } },
        limitMmPerPrompt: { image: { count: 4, width: 512 }, audio: 0 },
      },
    },
    {
      about: "with a KV cache in bytes",
      host: oneGpu,
      entry: { model: repository, gpu: onOne, kvCacheMemoryBytes: 8589934592 },
    },
    { about: "without tools", host: oneGpu, entry: { model: repository, gpu: onOne, tools: false } },
    { about: "for embeddings", host: oneGpu, entry: { model: repository, gpu: onOne, mode: "embedding" } },
    ...spread({ tensorParallelSize: 2, pipelineParallelSize: 2 }),
  ],
  sglang: [
    { about: "on one GPU", host: oneGpu, entry: { model: repository, gpu: onOne } },
    {
      about: "with every knob",
      host: twoGpus,
      entry: {
        model: repository,
        gpu: onBoth,
        contextLength: 65536,
        tensorParallelSize: 2,
        memFractionStatic: 0.45,
        maxTotalTokens: 131072,
        maxRunningRequests: 32,
        chunkedPrefillSize: -1,
        kvCacheDtype: "fp8_e5m2",
        dtype: "bfloat16",
        quantization: "fp8",
        disableRadixCache: true,
        disableCudaGraph: true,
        enableMultimodal: true,
        trustRemoteCode: true,
        toolCallParser: "qwen25",
        reasoningParser: "qwen3",
        loraPaths: adapters,
        chatTemplate: "./template.jinja",
        tokenizerPath: "file:///srv/models/tokenizer",
        speculativeDraftModelPath: "hf://Qwen/Qwen3-0.6B",
        maxLorasPerBatch: 2,
        speculativeAlgorithm: "NGRAM",
        extraArgs: ["--schedule-policy", "lpm"],
        env: { SGLANG_HEALTH_CHECK_TIMEOUT: "30" },
      },
    },
    {
      about: "with stages, and a part in the host's memory",
      host: twoGpus,
      entry: {
        model: repository,
        gpu: onBoth,
        ...{ pipelineParallelSize: 2, cpuOffloadGb: 8 },
        jsonModelOverrideArgs: { rope_scaling: { rope_type: "yarn", factor: 4 } },
      },
    },
    { about: "with copies", host: twoGpus, entry: { model: repository, gpu: onBoth, dataParallelSize: 2 } },
    {
      about: "with groups for attention",
      host: twoGpus,
      entry: { model: repository, gpu: onBoth, attnDpSize: 2 },
    },
    {
      about: "with groups for attention by the older flags",
      host: twoGpus,
      entry: { model: repository, gpu: onBoth, dataParallelSize: 2, enableDpAttention: true },
    },
    { about: "without tools", host: oneGpu, entry: { model: repository, gpu: onOne, tools: false } },
    { about: "for embeddings", host: oneGpu, entry: { model: repository, gpu: onOne, mode: "embedding" } },
    ...spread({}),
  ],
  "tensorrt-llm": [
    { about: "on one GPU", host: oneGpu, entry: { model: repository, gpu: onOne } },
    {
      about: "with every knob",
      host: twoGpus,
      entry: {
        model: repository,
        gpu: onBoth,
        maxSeqLen: 65536,
        tpSize: 2,
        maxBatchSize: 64,
        maxNumTokens: 8192,
        kvCacheFreeGpuMemoryFraction: 0.45,
        enableChunkedPrefill: true,
        trustRemoteCode: true,
        toolCallParser: "qwen3",
        reasoningParser: "qwen3",
        chatTemplate: "./template.jinja",
        tokenizer: "file:///srv/models/tokenizer",
        config: { kv_cache_config: { enable_block_reuse: false } },
        extraArgs: ["--num_postprocess_workers", "2"],
        env: { TRTLLM_SERVER_DISABLE_GC: "1" },
      },
    },
    { about: "without tools", host: oneGpu, entry: { model: repository, gpu: onOne, tools: false } },
    { about: "for completions", host: oneGpu, entry: { model: repository, gpu: onOne, mode: "completion" } },
  ],
  ollama: [
    { about: "on the CPU", entry: { model: "qwen3-coder:30b" } },
    {
      about: "with every knob",
      host: oneGpu,
      entry: {
        model: "hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M",
        gpu: onOne,
        contextLength: 32768,
        numParallel: 2,
        flashAttention: true,
        kvCacheType: "q8_0",
        schedSpread: true,
        gpuOverhead: 1073741824,
        env: { OLLAMA_MAX_QUEUE: "64" },
      },
    },
    { about: "for embeddings", entry: { model: "nomic-embed-text:v1.5", mode: "embedding" } },
  ],
  "text-embeddings-inference": [
    { about: "on the CPU", entry: { model: "hf://BAAI/bge-m3" } },
    {
      about: "with every knob",
      host: { gpus: [{ id: 0, memoryGiB: 24, computeCapability: "8.9" }] },
      entry: {
        model: "hf://BAAI/bge-m3",
        gpu: { devices: [0] },
        dtype: "float16",
        pooling: "last-token",
        maxConcurrentRequests: 256,
        maxBatchTokens: 32768,
        maxClientBatchSize: 64,
        autoTruncate: true,
        extraArgs: ["--payload-limit", "4000000"],
        env: { TOKENIZATION_WORKERS: "4" },
      },
    },
    { about: "for reranking", entry: { model: "hf://BAAI/bge-reranker-v2-m3", mode: "rerank" } },
  ],
  speaches: [
    { about: "on the CPU", entry: { model: "hf://Systran/faster-whisper-small" } },
    {
      about: "with every knob",
      host: oneGpu,
      entry: {
        model: "hf://Systran/faster-whisper-small",
        gpu: onOne,
        computeType: "int8_float16",
        modelTtl: 600,
        extraArgs: ["--log-level", "warning"],
        env: { WHISPER__NUM_WORKERS: "2" },
      },
    },
    { about: "that speaks", entry: { model: "hf://speaches-ai/Kokoro-82M-v1.0-ONNX", mode: "audio_speech" } },
  ],
};
