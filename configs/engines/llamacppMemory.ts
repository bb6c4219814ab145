import { z } from "zod";
import { option } from "./container";

const on = z.boolean().optional();
const count = z.int().min(1).optional();

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
