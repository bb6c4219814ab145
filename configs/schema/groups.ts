import { z } from "zod";

/** Groups of models that are loaded on demand, by the name that their entries write as `group`. */
export const groupsSchema = z
  .record(
    z.string(),
    z.strictObject({
      memoryGiB: z
        .number()
        .positive()
        .optional()
        .describe(
          "GiB on each of its models' devices that those of them which are loaded may take together; of the host's memory for models on the CPU. Default: what other models leave of the devices; on the CPU the largest of them, beside the pinned ones.",
        ),
    }),
  )
  .default({})
  .describe("What models of a group, with start: ondemand, may take together.");

export type GroupsConfig = z.infer<typeof groupsSchema>;
