import { z } from "zod";
import { hostName, period, secretRef } from "./shared";

/** An address of the provider; a query stays, because some providers name the tenant there. */
const endpoint = z.url({ protocol: /^https?$/, error: "Write an address with https://." });

const newcomersSchema = z.strictObject({
  emailDomains: z
    .array(hostName.transform((domain) => domain.toLowerCase()))
    .min(1)
    .describe("Domains of their e-mail addresses, without @: example.com."),
  role: z
    .enum(["internal_user", "internal_user_viewer"])
    .default("internal_user_viewer")
    .describe("What they may do: make keys of their own, or look."),
  budgetUsd: z.number().positive().describe("US dollars that each of them may spend."),
  budgetDuration: period
    .optional()
    .describe("After that time the budget begins anew. Default: it never does."),
});

/** Login to LiteLLM's UI at a provider that speaks OpenID Connect. */
export const ssoSchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "Write an address with https://." })
      .transform((url) => url.replace(/\/$/, ""))
      .describe(
        "The admin port as people's browsers know it, https://box.example.com:4001. The provider sends them to /sso/callback there.",
      ),
    authorizationUrl: endpoint.describe("`authorization_endpoint` of the provider's discovery document."),
    tokenUrl: endpoint.describe("`token_endpoint` there."),
    userinfoUrl: endpoint.describe("`userinfo_endpoint` there."),
    clientId: z.string().min(1).describe("What the provider calls this box."),
    clientSecret: secretRef.describe("The secret that the provider gave for it."),
    scopes: z
      .array(z.string().regex(/^[!#-[\]-~]+$/, "A scope has no spaces."))
      .min(1)
      .default(["openid", "email", "profile"])
      .describe("What is asked of the provider."),
    newcomers: newcomersSchema
      .optional()
      .describe("Who may sign in besides `users`. Default: nobody, a person has to be declared."),
    unencrypted: z
      .literal(true, { error: "Write unencrypted: true, or leave it out." })
      .optional()
      .describe("The provider is asked in plain HTTP: whoever is on the way reads the client's secret."),
  })
  .describe(
    "Login at a provider of yours (OpenID Connect), for at most four people without LiteLLM's license.",
  );

export type SsoConfig = z.infer<typeof ssoSchema>;
