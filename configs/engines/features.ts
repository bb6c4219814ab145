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
  | "audio"
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
  /** How words that follow from its protocols and its schema are known: `contract` where its released code can be read. */
  known: KnownFrom;
  /** What a test has run with a real server, by the test's path in the project. It outranks every other way to know. */
  ran?: Record<string, Feature[]>;
  /** What does not follow from anything else, or where that would say too much. */
  says?: Partial<Record<Feature, Statement>>;
}

/** What the gateway hands on to a server or a provider that is not ours to know. */
export const PASSED_ON: EngineFeatures["says"] = Object.fromEntries(
  (["completions", "responses", "tools", "reasoning", "vision"] as const).map((feature) => [
    feature,
    { cell: "passed on", known: "vendor" },
  ]),
);
