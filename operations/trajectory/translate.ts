import type { Branch, ChatProtocol, Json } from "./conversations";
import { chatOfResponses } from "./responses";

/** A part of a message's content, of any type. */
type Part = Json & { type?: string };

/** Converts a branch to the other protocol. Parts without a counterpart stay as they are. */
export function translate(branch: Branch, to: ChatProtocol): Branch {
  if (branch.protocol === to) return branch;
  if (branch.protocol === "responses") return translate(chatOfResponses(branch), to);
  const convert = to === "openai" ? openaiMessages : anthropicMessages;
  const { received: _, ...rest } = branch;
  return { ...rest, protocol: to, ...convert(branch) };
}

function openaiMessages({ system, tools, messages }: Branch): Partial<Branch> {
  return {
    system: undefined,
    ...(Array.isArray(tools)
      ? {
          tools: tools.map(({ name, description, input_schema, ...rest }: Json) =>
            input_schema
              ? { type: "function", function: { name, description, parameters: input_schema } }
              : { name, description, ...rest },
          ),
        }
      : {}),
    messages: [
      ...(system === undefined ? [] : [{ role: "system", content: textOf(system) }]),
      ...(messages as Json[]).flatMap(openaiMessage),
    ],
  };
}

function openaiMessage(message: Json): Json[] {
  const parts = partsOf(message.content);
  if (message.role !== "assistant") {
    const results = parts
      .filter(({ type }) => type === "tool_result")
      .map(({ tool_use_id, content }) => ({
        role: "tool",
        tool_call_id: tool_use_id,
        content: textOf(content),
      }));
    const rest = parts.filter(({ type }) => type !== "tool_result").map(openaiPart);
    const content = typeof message.content === "string" ? message.content : rest;
    return [...results, ...(rest.length > 0 ? [{ role: message.role, content }] : [])];
  }
  const texts = parts.filter(({ type }) => type === "text");
  const thinking = parts.filter(({ type }) => type === "thinking");
  const calls = parts
    .filter(({ type }) => type === "tool_use")
    .map(({ id, name, input }) => ({
      id,
      type: "function",
      function: { name, arguments: JSON.stringify(input) },
    }));
  return [
    {
      role: "assistant",
      content: texts.length > 0 ? texts.map(({ text }) => text).join("") : null,
      ...(thinking.length > 0 ? { reasoning_content: thinking.map((part) => part.thinking).join("") } : {}),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
  ];
}

function openaiPart(part: Part): Json {
  if (part.type === "text") return { type: "text", text: part.text };
  const source = part.source as Json | undefined;
  if (part.type !== "image" || !source) return part;
  const url = source.type === "url" ? source.url : `data:${source.media_type};base64,${source.data}`;
  return { type: "image_url", image_url: { url } };
}

function anthropicMessages({ tools, messages }: Branch): Partial<Branch> {
  const all = messages as Json[];
  const isSystem = ({ role }: Json) => role === "system" || role === "developer";
  const system = all
    .filter(isSystem)
    .map(({ content }) => textOf(content))
    .join("\n\n");
  return {
    ...(system ? { system } : {}),
    ...(Array.isArray(tools)
      ? {
          tools: tools.map((tool: Json) => {
            const { name, description, parameters } = (tool.function ?? {}) as Json;
            return tool.function ? { name, description, input_schema: parameters } : tool;
          }),
        }
      : {}),
    messages: joined(all.filter((message) => !isSystem(message)).map(anthropicMessage)),
  };
}

function anthropicMessage(message: Json): Json {
  if (message.role === "tool") {
    const content = [
      { type: "tool_result", tool_use_id: message.tool_call_id, content: textOf(message.content) },
    ];
    return { role: "user", content };
  }
  if (message.role !== "assistant")
    return {
      role: message.role,
      content:
        typeof message.content === "string" ? message.content : partsOf(message.content).map(anthropicPart),
    };
  const thinking = message.reasoning_content ?? message.reasoning;
  const calls = Array.isArray(message.tool_calls)
    ? (message.tool_calls as { id: string; function: Json }[])
    : [];
  return {
    role: "assistant",
    content: [
      ...(thinking ? [{ type: "thinking", thinking }] : []),
      ...partsOf(message.content)
        .filter(({ type, text }) => type !== "text" || text)
        .map(anthropicPart),
      ...calls.map(({ id, function: { name, arguments: input } }) => ({
        type: "tool_use",
        id,
        name,
        input: parsed(input),
      })),
    ],
  };
}

function anthropicPart(part: Part): Json {
  if (part.type === "text") return { type: "text", text: part.text };
  if (part.type !== "image_url") return part;
  const { url } = part.image_url as { url: string };
  const inline = /^data:([^;,]+);base64,(.*)$/s.exec(url);
  const source = inline ? { type: "base64", media_type: inline[1], data: inline[2] } : { type: "url", url };
  return { type: "image", source };
}

/** Results of tools that were called together belong in one message. */
function joined(messages: Json[]): Json[] {
  const all: Json[] = [];
  for (const message of messages) {
    const last = all.at(-1);
    const both = [last?.content, message.content];
    if (last?.role === "user" && message.role === "user" && both.every(isResults)) last.content = both.flat();
    else all.push({ ...message });
  }
  return all;
}

function isResults(content: unknown): boolean {
  return Array.isArray(content) && content.every((part: Part) => part.type === "tool_result");
}

function partsOf(content: unknown): Part[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return Array.isArray(content) ? (content as Part[]) : [];
}

function textOf(content: unknown): string {
  return partsOf(content)
    .map((part) => (part.type === "text" ? String(part.text) : JSON.stringify(part)))
    .join("");
}

/** Arguments that a model wrote. Text that is not JSON stays text. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return text;
  }
}
