import type { Problem } from "../kit/problems";

/** A part of LiteLLM's config.yaml that has another place in a stack config, or none. */
interface Section {
  keys: string[];
  what: string;
  fix: string;
}

const SECTIONS: Section[] = [
  { keys: ["model_list"], what: "Models have a section of their own.", fix: "Use gpubox:models." },
  ...["litellm", "router", "general"].map((name) => ({
    keys: [`${name}_settings`],
    what: `LiteLLM's ${name}_settings have another name here.`,
    fix: `Use gpubox:gateway.settings.${name}.`,
  })),
  {
    keys: ["environment_variables"],
    what: "Variables have a section of their own.",
    fix: "Use gpubox:gateway.env.",
  },
  {
    keys: ["guardrails", "guardrail_list"],
    what: "Guardrails have a section of their own, in LiteLLM's newer form: each has a kind and a mode.",
    fix: "Use gpubox:gateway.guardrails, which every request passes.",
  },
  {
    keys: ["pass_through_endpoints"],
    what: "Such a route goes past the models, their limits and their keys to an address of its own.",
    fix: "Use gpubox:gateway.passThrough, which opens exactly the declared routes, or declare the server under gpubox:models.",
  },
  {
    keys: ["credential_list", "litellm_credential_name"],
    what: "LiteLLM's credentials are keys that several models share.",
    fix: "Write apiKey: { secret: <its name> } at each of the models; they may name the same secret.",
  },
  {
    keys: ["mcp_servers", "mcp_tools", "mcp_aliases", "mcp_semantic_tool_filter"],
    what: "Gateways here serve no MCP: its routes start programs and reach servers that no preview shows.",
    fix: "Give clients the address of the MCP server itself.",
  },
  {
    keys: [
      "prompts",
      "prompt_directory",
      "global_prompt_directory",
      "global_gitlab_config",
      "global_bitbucket_config",
    ],
    what: "A request names a stored prompt by a parameter that would choose its model too, and that no gateway here takes from clients.",
    fix: "Keep prompts in the client.",
  },
  {
    keys: [
      ...[
        "vector_store_registry",
        "search_tools",
        "sandbox_tools",
        "assistant_settings",
        "finetune_settings",
      ],
      ...["files_settings", "default_vertex_config", "policies", "policy_attachments"],
    ],
    what: "It belongs to routes of LiteLLM that this box opens for no client.",
    fix: "Remove it.",
  },
];

/** Where a part of LiteLLM's config.yaml has its place; undefined for any other word. */
export function sectionElsewhere(key: string): Pick<Problem, "what" | "fix"> | undefined {
  const found = SECTIONS.find(({ keys }) => keys.includes(key));
  return found && { what: found.what, fix: found.fix };
}
