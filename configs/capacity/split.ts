import type { GpuDemand } from "./demand";

/** How a model is divided. */
export interface Split {
  /** Ranks that share each layer. */
  tensor: number;
  /** Stages that share the layers. */
  pipeline: number;
  /** Whole copies. */
  data: number;
  /** Groups of tensor ranks, each with the whole attention and requests of its own. */
  groups: number;
  /** Ranks of such a group, which share attention and its cache. */
  attention: number;
}

/** Shards of the weights: tensor and pipeline parallelism, and copies of them, by default over all devices as the engine files have it. llama.cpp and Ollama split by layers over their devices. */
export function splitOf(demand: GpuDemand): Split {
  const { engine, devices, hosts = 1 } = demand;
  const one = { tensor: 1, pipeline: 1, data: 1, groups: 1, attention: 1 };
  if (engine.engine === "llamacpp" || engine.engine === "ollama") return { ...one, pipeline: devices.length };
  if (engine.engine === "encoder" || engine.engine === "declared") return one;
  const isTensorRt = engine.engine === "tensorrt-llm";
  const pipeline = isTensorRt ? 1 : (engine.pipelineParallelSize ?? 1);
  const data = engine.dataParallelSize ?? 1;
  const asked = isTensorRt ? engine.tpSize : engine.tensorParallelSize;
  const tensor = asked ?? Math.max(1, Math.floor((devices.length * hosts) / (pipeline * data)));
  const groups = engine.engine === "sglang" ? (engine.attnDpSize ?? 1) : 1;
  return { tensor, pipeline, data, groups, attention: Math.max(1, Math.floor(tensor / groups)) };
}
