import { z } from "zod";
import type { EngineMemory } from "./demand";

const paged = {
  tensorParallelSize: z.int().optional(),
  pipelineParallelSize: z.int().optional(),
  kvCacheDtype: z.string().optional(),
};

/** The settings of an entry that decide memory; all others are passed over. The keys are the entries' own. */
const memorySchema = z.discriminatedUnion("engine", [
  z.object({
    engine: z.literal("llamacpp"),
    ctxSize: z.int(),
    parallel: z.int().optional(),
    kvUnified: z.boolean().optional(),
    cacheTypeK: z.string().optional(),
    cacheTypeV: z.string().optional(),
    ubatchSize: z.int().optional(),
    gpuLayers: z.union([z.int(), z.literal("all")]).optional(),
    swaFull: z.boolean().optional(),
    cacheRamMiB: z.int().optional(),
  }),
  z.object({
    engine: z.literal("ollama"),
    contextLength: z.int(),
    numParallel: z.int().optional(),
    kvCacheType: z.string().optional(),
  }),
  z.object({
    engine: z.literal("vllm"),
    ...paged,
    maxModelLen: z.int().optional(),
    maxNumSeqs: z.int().optional(),
    maxNumBatchedTokens: z.int().optional(),
    enforceEager: z.boolean().optional(),
    blockSize: z.int().optional(),
    gpuMemoryUtilization: z.number().optional(),
    kvCacheMemoryBytes: z.int().optional(),
  }),
  z.object({
    engine: z.literal("sglang"),
    ...paged,
    contextLength: z.int().optional(),
    maxRunningRequests: z.int().optional(),
    chunkedPrefillSize: z.int().optional(),
    disableCudaGraph: z.boolean().optional(),
    memFractionStatic: z.number().optional(),
    maxTotalTokens: z.int().optional(),
  }),
  z.object({
    engine: z.literal("tensorrt-llm"),
    ...paged,
    maxSeqLen: z.int().optional(),
    maxBatchSize: z.int().optional(),
    maxNumTokens: z.int().optional(),
    freeGpuMemoryFraction: z.number().optional(),
    maxTokens: z.int().optional(),
  }),
]) satisfies z.ZodType<EngineMemory>;

/** Reads the memory settings of an entry; undefined for engines without any, text-embeddings-inference for one. */
export function memoryOfEntry(entry: unknown): EngineMemory | undefined {
  return memorySchema.safeParse(entry).data;
}
