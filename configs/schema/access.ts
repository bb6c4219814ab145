import { z } from "zod";
import { entryName, period, secretRef } from "./shared";
import { ssoSchema } from "./sso";

/** Name of a team or key: what reports and the UI show, so nothing that needs quoting. */
const accessName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "A name is letters, digits and . _ -, at most 63 characters, for example alice.",
  );

/** Pulumi reads an unquoted day as a moment, and writes it back in Go's form when it stores a secret in the same file. */
const goMoment = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d+)? [+-]\d{4} \S+$/)
  .transform((text) => text.replace(/^(\S+) (\S+) ([+-]\d{2})(\d{2}) .*/, "$1T$2$3:$4"));

const limits = {
  models: z
    .array(entryName)
    .min(1)
    .optional()
    .describe("Public names, aliases or access groups that it may use. Default: all."),
  budgetUsd: z
    .number()
    .positive()
    .optional()
    .describe("US dollars that it may spend, by the prices of the models. Default: no budget."),
  budgetDuration: period
    .optional()
    .describe("After that time the budget begins anew. Default: it never does."),
  rpm: z.int().min(1).optional().describe("Requests a minute."),
  tpm: z.int().min(1).optional().describe("Tokens a minute."),
};

const teamSchema = z.strictObject(limits);

const keySchema = z.strictObject({
  key: secretRef.describe("The secret that holds the key, sk-…; `gpubox up` makes a missing one."),
  previous: secretRef
    .optional()
    .describe(
      "The key of before, valid beside the new one until it is removed here: a rotation without an outage.",
    ),
  team: accessName.optional().describe("The team whose budget and limits count too."),
  ...limits,
  maxParallel: z.int().min(1).optional().describe("Requests that it may have open at once."),
  expires: z
    .union([z.iso.date(), z.iso.datetime({ offset: true }), goMoment], {
      error: "Write a day, 2027-01-31, or a moment, 2027-01-31T18:00:00Z.",
    })
    .optional()
    .describe("When it stops to work; a day means its first moment, UTC."),
});

/** What a person may do in LiteLLM's UI and admin API, in LiteLLM's words. */
const userRole = z.enum(["internal_user", "internal_user_viewer", "proxy_admin", "proxy_admin_viewer"]);

const userSchema = z.strictObject({
  email: z
    .email("Write an e-mail address.")
    .transform((email) => email.toLowerCase())
    .describe("Their name at the login."),
  role: userRole
    .default("internal_user")
    .describe("internal_user makes keys of their own, internal_user_viewer looks, proxy_admin may do all."),
  teams: z.array(accessName).default([]).describe("Teams that they may make keys in."),
  ...limits,
});

/** Who may use the models, where the gateway has a database. */
export const accessSchema = z.strictObject({
  teams: z
    .record(accessName, teamSchema)
    .default({})
    .describe("Budgets and limits that several keys share. Name to team."),
  keys: z.record(accessName, keySchema).default({}).describe("Virtual keys. Name to key."),
  users: z
    .record(accessName, userSchema)
    .default({})
    .describe("People who log into LiteLLM's UI and make keys of their own. Name to person."),
  sso: ssoSchema.optional(),
  ui: z
    .strictObject({
      username: accessName.default("admin"),
      password: secretRef.describe("The secret that holds the password."),
    })
    .optional()
    .describe("Who may log into LiteLLM's UI. Default: `admin` with the master key."),
});

export type AccessConfig = z.infer<typeof accessSchema>;
export type TeamConfig = z.infer<typeof teamSchema>;
export type KeyConfig = z.infer<typeof keySchema>;
export type UserConfig = z.infer<typeof userSchema>;
