/** Keys that mean the same under another name: of another engine, of LiteLLM, or of a store's own config. */

/** Names of one thing. The first that is a key where a hint is wanted is the answer. */
const ALIKE = [
  ["ctxSize", "maxModelLen", "contextLength", "maxSeqLen", "numCtx", "nCtx"],
  ["parallel", "maxNumSeqs", "maxRunningRequests", "maxBatchSize", "numParallel", "maxConcurrentRequests"],
  ["maxNumBatchedTokens", "maxBatchTokens", "maxNumTokens"],
  ["gpuMemoryUtilization", "memFractionStatic", "kvCacheFreeGpuMemoryFraction"],
  ["tensorParallelSize", "tpSize", "tp"],
  ["pipelineParallelSize", "ppSize", "pp"],
  ["dataParallelSize", "dpSize", "dp"],
  ["lora", "loraModules", "loraPaths"],
  ["tokenizer", "tokenizerPath"],
  ["kvCacheDtype", "kvCacheType"],
  ["flashAttn", "flashAttention"],
  ["hfOverrides", "jsonModelOverrideArgs"],
  ["baseUrl", "apiBase", "url", "endpoint"],
  ["maxParallel", "maxParallelRequests"],
  ["params", "litellmParams"],
  ["info", "modelInfo"],
];

/** Parts of a store's address. */
const OF_AN_ADDRESS = [
  "host",
  "hostname",
  "port",
  "user",
  "username",
  "password",
  "db",
  "database",
  "name",
  "ssl",
];

/**
 * What to write in place of a key that is none here; undefined where no other name is known.
 *
 * @param root path of the section or of the model that it stands in
 * @param valid keys where it stands
 */
export function inOtherWords(key: string, root: string, valid: string[]): string | undefined {
  const group = ALIKE.find((names) => names.some((name) => plain(name) === plain(key)));
  const same = group?.find((name) => valid.includes(name));
  if (same) return `Use "${same}".`;
  if (/^gpubox:(cache|database)$/.test(root) && OF_AN_ADDRESS.includes(plain(key)))
    return "A server elsewhere is named by its whole address: mode: external, and url: { secret: <its name> }.";
  // `ttl` is `ttlSeconds`.
  const longer = key.length < 3 ? [] : valid.filter((one) => plain(one).startsWith(plain(key)));
  return longer.length === 1 ? `Did you mean "${longer[0]}"?` : undefined;
}

/** Without what people write differently: case, and dashes or underscores between the words. */
export function plain(key: string): string {
  return key.toLowerCase().replace(/[-_]/g, "");
}
