/** What docs/features.md compares engines by. */
export type Feature =
  | "chat"
  | "streaming"
  | "completions"
  | "messages"
  | "responses"
  | "tools"
  | "reasoning"
  | "vision"
  | "embeddings"
  | "rerank"
  | "countTokens"
  | "keptResponses"
  | "transcriptions"
  | "speech"
  | "images"
  | "moderations"
  | "lora"
  | "quantization"
  | "kvCache"
  | "tensorParallel"
  | "prefixCache"
  | "speculative"
  | "apiKey"
  | "metrics"
  | "drain"
  | "weights"
  | "cpu"
  | "cuda"
  | "rocm"
  | "intel"
  | "arm64Cpu"
  | "arm64Cuda";

/** `contract`: checked against released code, see test/contract/engines. `vendor`: the word of its documentation or source. */
export type KnownFrom = "contract" | "vendor";

/** One statement of an engine, and how it is known. */
export interface Statement {
  /** A few words; what stands in backticks is a key of its schema, or a flag, variable or endpoint of its contract. */
  cell: string;
  known: KnownFrom;
}

/** What an engine says of itself beside what follows from its protocols, its schema and its container. */
export interface EngineFeatures {
  /** A source of weights that its `check` takes. Images, key and shutdown are read from what an entry with it becomes. */
  example: string;
  /** What an entry with it needs besides. Default: nothing. */
  entry?: Record<string, unknown>;
  /** How words that follow from its protocols and its schema are known: `contract` where its released code can be read. */
  known: KnownFrom;
  /** What a test has run with a real server, by the test's path in the project. It outranks every other way to know. */
  ran?: Record<string, Feature[]>;
  /** What a test has shown with a recording server in the place of a real one, by the test's path in the project. */
  recorded?: Record<string, Feature[]>;
  /** What does not follow from anything else, or where that would say too much. */
  says?: Partial<Record<Feature, Statement>>;
}

/** What the gateway hands on to a server or a provider that is not ours to know. */
export const PASSED_ON: EngineFeatures["says"] = {
  ...Object.fromEntries(
    [
      ...(["completions", "responses", "keptResponses", "tools", "reasoning", "vision"] as const),
      ...(["transcriptions", "speech", "images", "moderations"] as const),
    ].map((feature) => [feature, { cell: "passed on", known: "vendor" }]),
  ),
  countTokens: { cell: "LiteLLM's estimate", known: "vendor" },
};

/** The recording server behind a real gateway, by the engines whose servers are not ours to know. */
export const RECORDED: EngineFeatures["recorded"] = {
  "test/e2e/modalities.test.ts": [
    ...([
      "chat",
      "streaming",
      "completions",
      "messages",
      "responses",
      "keptResponses",
      "countTokens",
    ] as const),
    ...(["embeddings", "rerank", "transcriptions", "speech", "images", "moderations"] as const),
  ],
};
