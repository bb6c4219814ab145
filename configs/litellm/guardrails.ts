/**
 * What LiteLLM's kinds of guardrails cannot do without, each as a parameter and the variable that stands for it. Read from the
 * pinned version's `guardrail_hooks`. A kind that is not here is shown to load by the proof of its generation only.
 */
export const GUARDRAIL_NEEDS: Record<string, [param: string, variable?: string][]> = {
  aim: [["api_key", "AIM_API_KEY"]],
  akto: [
    ["akto_base_url", "AKTO_GUARDRAIL_API_BASE"],
    ["akto_api_key", "AKTO_API_KEY"],
  ],
  alice: [["api_key", "ALICE_API_KEY"]],
  aporia: [
    ["api_key", "APORIO_API_KEY"],
    ["api_base", "APORIO_API_BASE"],
  ],
  "azure/prompt_shield": [["api_key"], ["api_base"]],
  "azure/text_moderations": [["api_key"], ["api_base"]],
  bedrock: [["guardrailIdentifier"], ["guardrailVersion"]],
  cisco_ai_defense: [["api_key", "CISCO_AI_DEFENSE_API_KEY"]],
  deepkeep: [
    ["api_key", "DEEPKEEP_API_KEY"],
    ["api_base", "DEEPKEEP_API_BASE"],
    ["deepkeep_firewall_id", "DEEPKEEP_FIREWALL_ID"],
  ],
  dynamoai: [["api_key", "DYNAMOAI_API_KEY"]],
  enkryptai: [["api_key", "ENKRYPTAI_API_KEY"]],
  generic_guardrail_api: [["api_base", "GENERIC_GUARDRAIL_API_BASE"]],
  grayswan: [["api_key", "GRAYSWAN_API_KEY"]],
  guardrails_ai: [["guard_name"], ["api_base", "GUARDRAILS_AI_API_BASE"]],
  headroom: [["api_base", "HEADROOM_API_BASE"]],
  ibm_guardrails: [["auth_token", "IBM_GUARDRAILS_AUTH_TOKEN"], ["base_url"], ["detector_id"]],
  lakera: [["api_key", "LAKERA_API_KEY"]],
  lakera_v2: [["api_key", "LAKERA_API_KEY"]],
  lasso: [["api_key", "LASSO_API_KEY"]],
  openai_moderation: [["api_key", "OPENAI_API_KEY"]],
  pangea: [["api_key", "PANGEA_API_KEY"]],
  panw_prisma_airs: [["api_key", "PANW_PRISMA_AIRS_API_KEY"]],
  pillar: [["api_key", "PILLAR_API_KEY"]],
  presidio: [
    ["presidio_analyzer_api_base", "PRESIDIO_ANALYZER_API_BASE"],
    ["presidio_anonymizer_api_base", "PRESIDIO_ANONYMIZER_API_BASE"],
  ],
  prompt_security: [
    ["api_key", "PROMPT_SECURITY_API_KEY"],
    ["api_base", "PROMPT_SECURITY_API_BASE"],
  ],
  promptguard: [["api_key", "PROMPTGUARD_API_KEY"]],
  qualifire: [["api_key", "QUALIFIRE_API_KEY"]],
  straiker: [["api_key"]],
  typesafe: [["api_key", "TYPESAFE_API_KEY"]],
  vigil_guard: [
    ["api_key", "VIGIL_GUARD_API_KEY"],
    ["api_base", "VIGIL_GUARD_URL"],
  ],
  xecguard: [["api_key", "XECGUARD_API_KEY"]],
};

/** Kinds that can do nothing in a box, with what to do. */
export const GUARDRAILS_WITHOUT_USE: Record<string, { why: string; fix: string }> = {
  custom_code: {
    why: "Its code would stand in the config, where nobody tests it",
    fix: "Put the code into a file and name it in gpubox:gateway.modules.",
  },
  ...Object.fromEntries(
    ["mcp_end_user_permission", "mcp_jwt_signer", "mcp_security"].map((kind) => [
      kind,
      { why: "It looks at MCP servers, and gateways here have none", fix: "Remove it." },
    ]),
  ),
};
