import { z } from "zod";

/** Every policy by its name, as waivers and findings call it. docs/preview.md says what each wants. */
export const policyNames = [
  "published-ports",
  "digests-locked",
  "weights-locked",
  "memory-limits",
  "stop-grace",
  "no-root",
  "no-plaintext-secrets",
] as const;

export type PolicyName = (typeof policyNames)[number];

const reason = z
  .string()
  .regex(/\S+\s+\S+\s+\S+/, "Say why, in a sentence that a reviewer can judge.")
  .optional();

const waivers = Object.fromEntries(policyNames.map((name) => [name, reason])) as Record<
  PolicyName,
  typeof reason
>;

export const policySchema = z.strictObject({
  waive: z
    .strictObject(waivers)
    .prefault({})
    .describe("Policies that do not count for this stack: name to the reason, which every preview shows."),
  refuse: z
    .array(z.enum(policyNames))
    .default([])
    .describe("Policies that are refused here although they only warn by default."),
});

export type PolicyConfig = z.infer<typeof policySchema>;
