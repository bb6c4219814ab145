import { z } from "zod";

/** Longest time of a canary: `up` waits for it. */
const MOST_SECONDS = 24 * 3600;
const UNITS = { s: 1, m: 60, h: 3600 };

/** Seconds of a time that the schema takes: `90s`, `30m`, `2h`. */
export function canarySeconds({ for: time }: { for: string }): number {
  return Number(time.slice(0, -1)) * UNITS[time.slice(-1) as keyof typeof UNITS];
}

/** A share of the requests for a new server beside the one before, and what it may do worse. */
export const canarySchema = z.strictObject({
  weight: z.int().min(1).max(50).describe("Percent of the model's requests that the new server gets."),
  for: z
    .string()
    .regex(/^[1-9]\d{0,4}(s|m|h)$/, "Write a number and s, m or h, for example 30m.")
    .refine((time) => canarySeconds({ for: time }) <= MOST_SECONDS, "A canary lasts at most 24 hours.")
    .describe("How long it gets them: 90s, 30m, 2h, at most 24h. `up` waits as long."),
  errors: z
    .number()
    .min(0)
    .max(100)
    .default(1)
    .describe("Percentage points by which more of its requests may fail than at the server before."),
  firstToken: z
    .union([z.number().min(1), z.literal(false)], { error: "Write a factor from 1, or false." })
    .default(2)
    .describe(
      "Factor by which its answers may begin later than at the server before, by the medians; less than 100 ms never count. false: it is not judged.",
    ),
  requests: z
    .int()
    .min(1)
    .default(20)
    .describe(
      "Requests of the new server from which it is judged before the time is over, and answers of both from which their times are compared.",
    ),
});

export type CanaryConfig = z.infer<typeof canarySchema>;
