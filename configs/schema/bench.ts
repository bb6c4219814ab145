import { z } from "zod";

const percent = (least: number) => z.number().min(least).max(1000);

/** What a model's server may be slower than the one before it, by `gpubox bench model`. */
export const benchSchema = z.strictObject({
  tellPercent: percent(1)
    .default(10)
    .describe(
      "Percent by which a model's server may be slower than the one before until `gpubox bench model` and `up` tell it.",
    ),
  refusePercent: percent(1)
    .optional()
    .describe(
      "Percent by which it may be slower until `up` fails. With it, `up` measures each server that it changed and whose model was measured before. Default: `up` measures nothing and refuses none for its speed.",
    ),
});

export type BenchConfig = z.infer<typeof benchSchema>;
