import { z } from "zod";
import { option } from "./options";

const on = z.boolean().optional();
const count = z.int().min(1).optional();

/** Types of a KV cache. */
export const cacheType = z
  .enum(["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"])
  .optional();

export const layersOnGpu = z.union([z.int().min(0), z.literal("all")]).optional();

/** Flags of llama-server that decide where a model lies and how much it takes. `extraArgs` may hold them too: the planner reads both. */
export const memoryOptions = {
  ubatchSize: option(
    "--ubatch-size -ub",
    count.describe("--ubatch-size: tokens computed at once. Default: 512."),
    null,
  ),
  swaFull: option(
    "--swa-full",
    on.describe("--swa-full: layers with a sliding window keep the whole context."),
    null,
  ),
  kvUnified: option(
    "--kv-unified -kvu",
    on.describe("--kv-unified: one cache for all slots, so that one request may have all of ctxSize."),
    null,
  ),
  kvOffload: option(
    "--no-kv-offload --kv-offload -kvo -nkvo",
    on.describe("--kv-offload: false keeps the KV cache in the host's memory. Default: true."),
    null,
  ),
  cpuMoe: option("--cpu-moe -cmoe", on.describe("--cpu-moe: all experts stay in the host's memory."), null),
  nCpuMoe: option(
    "--n-cpu-moe -ncmoe",
    z.int().min(0).optional().describe("--n-cpu-moe: layers whose experts stay in the host's memory."),
    null,
  ),
  tensorSplit: option(
    "--tensor-split -ts",
    z
      .array(z.number().min(0))
      .min(2)
      .refine((parts) => parts.some((part) => part > 0), "Give one device a part at least.")
      .optional()
      .describe("--tensor-split: parts of gpu.devices, in their order: [3, 1]. Default: equal ones."),
    null,
  ),
  splitMode: option(
    "--split-mode -sm",
    z
      .enum(["layer", "row", "tensor"], {
        error: 'Write layer, row or tensor. For one device in place of "none", name only it in gpu.devices.',
      })
      .optional()
      .describe("--split-mode: how several devices share the model. Default: layer."),
    null,
  ),
  nGpuLayersDraft: option(
    "--spec-draft-ngl -ngld --gpu-layers-draft --n-gpu-layers-draft",
    layersOnGpu.describe("--spec-draft-ngl: layers of modelDraft on the GPU. Default: all of them."),
    null,
  ),
  cacheTypeKDraft: option(
    "--spec-draft-type-k -ctkd --cache-type-k-draft",
    cacheType.describe("--spec-draft-type-k: type of the keys in the draft's KV cache. Default: f16."),
    null,
  ),
  cacheTypeVDraft: option(
    "--spec-draft-type-v -ctvd --cache-type-v-draft",
    cacheType.describe("--spec-draft-type-v: type of the values in the draft's KV cache. Default: f16."),
    null,
  ),
  overrideTensor: option(
    "--override-tensor -ot",
    z
      .array(
        z.string().regex(/^[^,=]+=[^,=]+$/, "Write <pattern>=<buffer>, for example \\.ffn_.*_exps\\.=CPU."),
      )
      .min(1)
      .optional()
      .describe("--override-tensor: where tensors lie, as <pattern>=<buffer>: \\.ffn_.*_exps\\.=CPU."),
    null,
  ),
  ropeScaling: option(
    "--rope-scaling",
    z
      .enum(["none", "linear", "yarn"])
      .optional()
      .describe("--rope-scaling: yarn lets a context be longer than the trained one."),
    null,
  ),
  ropeScale: option(
    "--rope-scale",
    z.number().positive().optional().describe("--rope-scale: factor by which yarn lengthens the context."),
    null,
  ),
  yarnOrigCtx: option(
    "--yarn-orig-ctx",
    count.describe("--yarn-orig-ctx: tokens that the factor counts from. Default: the model's own."),
    null,
  ),
};
