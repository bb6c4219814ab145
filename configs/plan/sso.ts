import { configFile, type FilePlan, shellQuote, type TextPart } from "../kit/text";
import type { SsoConfig } from "../schema/sso";
import type { StackConfig } from "../stack/config";
import { assetFile, type PlanContext } from "./context";

/** Who is let in after the provider said who they are, as LiteLLM's `custom_sso` names it. */
export const SSO_HANDLER = "gpubox_sso.admit";

/** Variables of LiteLLM's client for OpenID Connect. */
export function ssoVariables({ access, cache }: StackConfig): Record<string, TextPart[]> {
  const { sso } = access;
  if (!sso) return {};
  const texts = {
    GENERIC_CLIENT_ID: sso.clientId,
    GENERIC_AUTHORIZATION_ENDPOINT: sso.authorizationUrl,
    GENERIC_TOKEN_ENDPOINT: sso.tokenUrl,
    GENERIC_USERINFO_ENDPOINT: sso.userinfoUrl,
    GENERIC_SCOPE: sso.scopes.join(" "),
    // LiteLLM's default is preferred_username, which people may change at many providers.
    GENERIC_USER_ID_ATTRIBUTE: "sub",
    // LiteLLM would make whoever has the claim `role: proxy_admin` its admin.
    GENERIC_USER_ROLE_ATTRIBUTE: "",
    GENERIC_USER_EXTRA_ATTRIBUTES: "email_verified",
    // Without Redis, another gateway than the one that sent a person away could not finish their login.
    GENERIC_CLIENT_USE_PKCE: String(cache.mode !== "none"),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, [shellQuote(text)]])),
    GENERIC_CLIENT_SECRET: [{ secret: sso.clientSecret.secret, as: "shell" }],
  };
}

/** The files that let people in, side by side with LiteLLM's config, which is where LiteLLM looks for them. */
export function ssoFiles(context: PlanContext): Record<string, FilePlan> {
  const { sso } = context.config.access;
  if (!sso) return {};
  return {
    "gpubox_sso.py": assetFile(context, "gateway/gpubox_sso.py"),
    "sso.json": configFile(JSON.stringify({ url: sso.url, newcomers: newcomers(sso) })),
  };
}

function newcomers({ newcomers: some }: SsoConfig) {
  if (!some) return null;
  return {
    domains: some.emailDomains,
    role: some.role,
    budget: some.budgetUsd,
    duration: some.budgetDuration ?? null,
  };
}
