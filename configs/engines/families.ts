import { z } from "zod";
import { nearest, type Problem, suggestion } from "../kit/problems";
import type { Mode } from "../schema/model";
import { option, setting } from "./options";

/**
 * Model families by the names that their publishers give them, the more special ones first. Tool and reasoning parsers belong
 * to a family, not to an engine's guess: a wrong one turns tool calls into text.
 */
const FAMILIES: [family: string, name: RegExp][] = [
  ["qwen3-coder", /qwen-?3-?coder/],
  ["qwen3-thinking", /qwen-?3.*thinking/],
  ["qwen3-instruct", /qwen-?3.*instruct/],
  ["qwen3", /qwen-?3|qwq/],
  ["qwen2.5", /qwen-?2\.5/],
  ["deepseek-r1", /deepseek-?r1/],
  ["deepseek-v3.2", /deepseek-?v3\.2/],
  ["deepseek-v3.1", /deepseek-?v3\.1/],
  ["deepseek-v3", /deepseek-?v3/],
  ["llama4", /llama-?4/],
  ["llama3", /llama-?3/],
  ["magistral", /magistral/],
  ["mistral", /mistral|mixtral|ministral|devstral/],
  ["kimi-k2-thinking", /kimi-?k2.*thinking/],
  ["kimi-k2", /kimi-?k2/],
  ["glm-4.7", /glm-?4\.7/],
  ["glm-4.5", /glm-?4\.[56]/],
  ["gpt-oss", /gpt-?oss/],
  ["granite-4", /granite-?4/],
  ["granite", /granite-?3/],
  ["gemma-4", /gemma-?4/],
  ["functiongemma", /functiongemma/],
  ["gemma", /gemma/],
  ["minimax-m2", /minimax-?m2/],
  ["seed-oss", /seed-?oss/],
  ["hermes", /hermes/],
  ["phi-4-mini", /phi-?4-?mini/],
  ["hunyuan", /hunyuan/],
  ["step-3.5", /step-?3[.p]5/],
];

/** The family of a model, from its repository or file name; undefined for one that is not known. */
export function familyOf(source: string): string | undefined {
  const name = nameOf(source);
  return FAMILIES.find(([, pattern]) => pattern.test(name))?.[0];
}

function nameOf(source: string): string {
  const path = source.replace(/@[^/]*/, "").replace(/\/+$/, "");
  return path
    .slice(path.lastIndexOf("/") + 1)
    .toLowerCase()
    .replaceAll("_", "-");
}

/** The parsers of one engine's release. */
export interface Parsers {
  engine: string;
  /** Every name that the release knows. */
  tools: readonly string[];
  reasoning: readonly string[];
  /** Family to the parser of its tool calls. A family without one has no tool calls that the engine can read. */
  toolsByFamily: Record<string, string>;
  /** Family to the parser of its thoughts. */
  reasoningByFamily: Record<string, string>;
}

export interface ParserChoice {
  model: string;
  /** Default: chat. No other mode has parsers. */
  mode?: Mode;
  tools?: boolean;
  toolCallParser?: string;
  reasoningParser?: string;
}

/** The rows of a table of options that choose an entry's parsers, by the engine's own flags. */
export const parserOptions = (toolFlag: string, reasoningFlag: string) => ({
  tools: setting(
    z.boolean().optional().describe("Tool calls. Default: on where the model's family has a parser."),
  ),
  toolCallParser: option(toolFlag, z.string().optional().describe(`${toolFlag}. Default: the family's.`)),
  reasoningParser: option(
    reasoningFlag,
    z.string().optional().describe(`${reasoningFlag}, or none. Default: the family's.`),
  ),
});

/** The parsers that an entry runs with: its own, else its family's. */
export function parsersOf(choice: ParserChoice, parsers: Parsers): { tools?: string; reasoning?: string } {
  if (choice.mode && choice.mode !== "chat") return {};
  const family = familyOf(choice.model) ?? "";
  const tools = choice.tools === false ? undefined : (choice.toolCallParser ?? parsers.toolsByFamily[family]);
  const reasoning = choice.reasoningParser ?? parsers.reasoningByFamily[family];
  return { tools, reasoning: reasoning === "none" ? undefined : reasoning };
}

/** Refuses parsers that the release does not know, and tools for a family whose calls nobody could read. */
export function checkParsers(choice: ParserChoice, parsers: Parsers, path: string): Problem[] {
  if (choice.mode && choice.mode !== "chat") return [];
  const problems: Problem[] = [];
  const { engine } = parsers;
  const unknown = (key: "toolCallParser" | "reasoningParser", names: readonly string[]) => {
    const value = choice[key];
    if (value === undefined || names.includes(value) || value === "none") return;
    problems.push({
      path: `${path}.${key}`,
      what: `${engine} has no parser "${value}".`,
      fix: suggestion(value, [...names]),
    });
  };
  unknown("toolCallParser", parsers.tools);
  unknown("reasoningParser", parsers.reasoning);
  if (choice.tools && !parsersOf(choice, parsers).tools)
    problems.push({
      path: `${path}.tools`,
      what: `gpubox knows no tool parser of ${engine} for "${choice.model}".`,
      fix: `Write toolCallParser${hint(choice.model, parsers)}, or tools: false.`,
    });
  return problems;
}

/** The family whose name is nearest to the start of the model's. */
function hint(model: string, { toolsByFamily, tools }: Parsers): string {
  const name = nameOf(model);
  const starts = Object.keys(toolsByFamily).map((family) => [name.slice(0, family.length), family] as const);
  const near = starts.find(([start, family]) => nearest(start, [family]) !== undefined)?.[1];
  return near ? `: ${toolsByFamily[near]} (as for ${near})` : `, one of: ${tools.join(", ")}`;
}
