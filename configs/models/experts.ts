import type { ExpertTensor, LockedModel, ModelShape } from "./facts";

/** Tensors of experts: `LLM_FFN_EXPS_REGEX` of llama.cpp's common/common.h, and what transformers call them. */
const NAMES = [
  /^blk\.(\d+)\.(ffn_(?:up|down|gate|gate_up)_(?:ch|)exps)\b/,
  /(?:^|\.)layers\.(\d+)\.(?:.*\.)?(experts)\./,
] as const;

/** The experts among the tensors of a model, layers with as many bytes together. */
export function expertTensorsOf(tensors: { name: string; bytes: number }[]): ExpertTensor[] {
  const byTensor = new Map<string, Map<number, number>>();
  for (const { name, bytes } of tensors) {
    const [, layer, tensor] =
      NAMES.map((pattern) => name.match(pattern)).find((match) => match !== null) ?? [];
    if (layer === undefined || tensor === undefined) continue;
    const layers = byTensor.get(tensor) ?? new Map<number, number>();
    // Its bias and its scales are tensors beside it.
    byTensor.set(tensor, layers.set(Number(layer), (layers.get(Number(layer)) ?? 0) + bytes));
  }
  return [...byTensor]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([tensor, layers]) => runs(tensor, layers));
}

function runs(tensor: string, layers: Map<number, number>): ExpertTensor[] {
  const found: ExpertTensor[] = [];
  for (const [layer, bytes] of [...layers].sort(([a], [b]) => a - b)) {
    const last = found.at(-1);
    if (last && last.bytes === bytes && last.first + last.layers === layer) last.layers += 1;
    else found.push({ tensor, first: layer, layers: 1, bytes });
  }
  return found;
}

/** The experts of a model: as they are locked, else about what its shape leaves to them. */
export function expertsOf({ experts, layerBytes, shape }: LockedModel): ExpertTensor[] {
  if (experts) return experts;
  if (shape.experts === 0 || shape.layers === 0) return [];
  const bytes = Math.max(0, layerBytes - attentionBytes(shape)) / shape.layers / 3;
  return ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"].map((tensor) => ({
    tensor,
    first: 0,
    layers: shape.layers,
    bytes: Math.floor(bytes),
  }));
}

/** Bytes of all experts of a model. */
export function expertBytes(locked: LockedModel): number {
  return expertsOf(locked).reduce((sum, { bytes, layers }) => sum + bytes * layers, 0);
}

/** Matrices of attention with 16 bits: quantisers leave them more bits than experts have. */
function attentionBytes({ attention, attentionHeads, hiddenSize }: ModelShape): number {
  return attention.reduce((sum, { kind, layers, kvHeads, keyLength, valueLength }) => {
    // MLA's lengths are its latent's; by DeepSeek-V3's config its matrices are 1.6 of 128 columns a head.
    if (kind === "mla") return sum + 2 * layers * hiddenSize * attentionHeads * 128 * 1.6;
    const queriesAndOutput = attentionHeads * (keyLength + valueLength);
    const keysAndValues = kvHeads * (keyLength + valueLength);
    return sum + 2 * layers * hiddenSize * (queriesAndOutput + keysAndValues);
  }, 0);
}

/** Bytes of all attention weights, about: by the shape, in as many bits as the checkpoint has on average. */
export function attentionShare({ shape, weightBytes }: LockedModel): number {
  const each = shape.parameters > 0 ? Math.min(2, weightBytes / shape.parameters) : 2;
  return Math.min(weightBytes, (attentionBytes(shape) / 2) * each);
}

/** Settings of llama.cpp that leave experts in the host's memory. */
export interface ExpertOffload {
  cpuMoe?: boolean;
  nCpuMoe?: number;
  /** `<pattern>=<buffer>`. */
  overrideTensor?: string[];
}

/** Whether a setting leaves any tensor in the host's memory. */
export function isOffloading({ cpuMoe, nCpuMoe, overrideTensor = [] }: ExpertOffload): boolean {
  return Boolean(cpuMoe || nCpuMoe || overrideTensor.length > 0);
}

/** The experts of a layer, tensor by tensor, and whether each stays in the host's memory. */
export function layerExperts(
  locked: LockedModel,
  layer: number,
  offload: ExpertOffload,
): { bytes: number; onHost: boolean }[] {
  return expertsOf(locked)
    .filter(({ first, layers }) => layer >= first && layer < first + layers)
    .map(({ tensor, bytes }) => ({
      bytes,
      onHost: staysOnHost(`blk.${layer}.${tensor}.weight`, layer, offload),
    }));
}

/** llama.cpp takes the first pattern that a name has; a flag for a number of layers is one pattern for each. */
function staysOnHost(
  name: string,
  layer: number,
  { cpuMoe, nCpuMoe = 0, overrideTensor = [] }: ExpertOffload,
) {
  const [, buffer] =
    overrideTensor
      .map((one) => [one.slice(0, one.lastIndexOf("=")), one.slice(one.lastIndexOf("=") + 1)] as const)
      .find(([pattern]) => isIn(pattern, name)) ?? [];
  return buffer === undefined ? Boolean(cpuMoe) || layer < nCpuMoe : buffer.startsWith("CPU");
}

function isIn(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern).test(name);
  } catch {
    return false;
  }
}
