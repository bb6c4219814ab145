import { z } from "zod";
import type { ModelLock } from "../models/facts";
import { lockedModel, notLocked } from "../models/lock";
import type { Problem } from "../problems";
import { modelGpuSchema } from "../schema/gpu";
import type { EngineMemory, GpuDemand } from "./demand";

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

const entrySchema = z.object({
  engine: z.string(),
  model: z.string(),
  gpu: modelGpuSchema.optional(),
  start: z.enum(["auto", "manual", "ondemand"]).default("auto"),
  group: z.string().optional(),
});

/**
 * The demands of a stack's model entries that run on GPUs, and the mistake of each whose model is not in the lock.
 *
 * @param models parsed entries by public name; entries without `gpu` run elsewhere and are passed over
 * @param memoryOf an engine's own mapping; default: settings under the names that `EngineMemory` has
 */
export function stackDemands(
  models: Record<string, unknown>,
  lock: ModelLock,
  memoryOf: (entry: unknown) => EngineMemory | undefined = memoryOfEntry,
): { demands: GpuDemand[]; problems: Problem[] } {
  const demands: GpuDemand[] = [];
  const problems: Problem[] = [];
  for (const [model, raw] of Object.entries(models)) {
    const entry = entrySchema.safeParse(raw).data;
    const engine = memoryOf(raw);
    if (!entry?.gpu || !engine) continue;
    const path = `gpubox:models.${model}`;
    const locked = lockedModel(lock, entry.model);
    if (!locked) {
      problems.push(notLocked(`${path}.model`, entry.model));
      continue;
    }
    const { start, group } = entry;
    demands.push({ model, path, start, group, locked, engine, ...entry.gpu });
  }
  return { demands, problems };
}

/** Reads the memory settings of an entry; undefined for engines without any, text-embeddings-inference for one. */
export function memoryOfEntry(entry: unknown): EngineMemory | undefined {
  return memorySchema.safeParse(entry).data;
}
