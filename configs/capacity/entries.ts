import { z } from "zod";
import { cacheRamOf } from "../engines/llamacpp";
import type { EngineMemory } from "./demand";

const kvCacheDtype = z.string().optional();
const dtype = z.string().optional();

/** The settings of an entry that affect its memory, under the entry's own keys; all others are ignored. */
const memorySchema = z.discriminatedUnion("engine", [
  z.object({
    engine: z.literal("llamacpp"),
    ctxSize: z.int(),
    parallel: z.int().optional(),
    cacheTypeK: z.string().optional(),
    cacheTypeV: z.string().optional(),
    nGpuLayers: z.union([z.int(), z.literal("all")]).optional(),
    ubatchSize: z.int().optional(),
    swaFull: z.boolean().optional(),
    kvUnified: z.boolean().optional(),
    kvOffload: z.boolean().optional(),
    cpuMoe: z.boolean().optional(),
    nCpuMoe: z.int().optional(),
    overrideTensor: z.array(z.string()).optional(),
    tensorSplit: z.array(z.number()).optional(),
    cacheRam: z.int().optional(),
    memoryMiB: z.int().optional(),
  }),
  z.object({
    engine: z.literal("ollama"),
    contextLength: z.int(),
    numParallel: z.int().optional(),
    kvCacheType: z.string().optional(),
  }),
  z.object({
    engine: z.literal("vllm"),
    tensorParallelSize: z.int().optional(),
    pipelineParallelSize: z.int().optional(),
    kvCacheDtype,
    dtype,
    maxModelLen: z.int().optional(),
    maxNumSeqs: z.int().optional(),
    maxNumBatchedTokens: z.int().optional(),
    enforceEager: z.boolean().optional(),
    gpuMemoryUtilization: z.number().optional(),
    kvCacheMemoryBytes: z.int().optional(),
    dataParallelSize: z.int().optional(),
    blockSize: z.int().optional(),
    cpuOffloadGb: z.number().optional(),
    kvOffloadingSize: z.number().optional(),
  }),
  z.object({
    engine: z.literal("sglang"),
    tensorParallelSize: z.int().optional(),
    pipelineParallelSize: z.int().optional(),
    dataParallelSize: z.int().optional(),
    attnDpSize: z.int().optional(),
    cpuOffloadGb: z.number().optional(),
    kvCacheDtype,
    dtype,
    contextLength: z.int().optional(),
    maxRunningRequests: z.int().optional(),
    chunkedPrefillSize: z.int().optional(),
    disableCudaGraph: z.boolean().optional(),
    memFractionStatic: z.number().optional(),
    maxTotalTokens: z.int().optional(),
  }),
  z.object({
    engine: z.literal("tensorrt-llm"),
    tpSize: z.int().optional(),
    maxSeqLen: z.int().optional(),
    maxBatchSize: z.int().optional(),
    maxNumTokens: z.int().optional(),
    kvCacheFreeGpuMemoryFraction: z.number().optional(),
  }),
]);

/** Reads the memory settings of an entry; undefined for engines without any, text-embeddings-inference for one. */
export function memoryOfEntry(entry: unknown): EngineMemory | undefined {
  const { data } = memorySchema.safeParse(entry);
  if (data?.engine !== "llamacpp") return data;
  const { memoryMiB, ...engine } = data;
  // Its default is a part of the limit, and counts where host and device share their memory.
  return memoryMiB === undefined ? engine : { ...engine, cacheRam: cacheRamOf({ ...data, memoryMiB }) };
}
