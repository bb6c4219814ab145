import type { Branch, Json } from "./conversations";

/** Converts a branch of responses to chat completions. Items without a counterpart stay as they are. */
export function chatOfResponses(branch: Branch): Branch {
  const { system, tools, messages, received: _, ...rest } = branch;
  return {
    ...rest,
    protocol: "openai",
    ...(Array.isArray(tools) ? { tools: tools.map(chatTool) } : {}),
    messages: [
      ...(system === undefined ? [] : [{ role: "system", content: system }]),
      ...turns((messages as Json[]).map(chatMessage)),
    ],
  };
}

/** Responses put a function's parts next to its type; chat completions nest them. */
function chatTool(tool: Json): Json {
  if (tool.type !== "function") return tool;
  const { type, ...parts } = tool;
  return { type, function: parts };
}

function chatMessage(item: Json): Json {
  const { type = "message" } = item;
  if (type === "reasoning") {
    const text = [...listOf(item.summary), ...listOf(item.content)].map((part) => part.text ?? "").join("");
    return { role: "assistant", content: null, ...(text ? { reasoning_content: text } : {}) };
  }
  if (type === "function_call") {
    const { call_id: id, name, arguments: input } = item;
    const calls = [{ id, type: "function", function: { name, arguments: input } }];
    return { role: "assistant", content: null, tool_calls: calls };
  }
  if (type === "function_call_output")
    return { role: "tool", tool_call_id: item.call_id, content: item.output };
  if (type !== "message") return item;
  const { role, content } = item;
  const parts = Array.isArray(content) ? content.map(chatPart) : content;
  const texts = listOf(parts);
  if (role === "assistant" && Array.isArray(parts) && texts.every((part) => part.type === "text"))
    return { role, content: texts.map(({ text }) => text).join("") };
  return { role, content: parts };
}

function chatPart(part: Json): Json {
  if (part.type === "input_text" || part.type === "output_text") return { type: "text", text: part.text };
  if (part.type !== "input_image") return part;
  const { image_url: url, detail } = part;
  return { type: "image_url", image_url: { url, ...(detail ? { detail } : {}) } };
}

/** Responses have separate items for reasoning, text and calls of one turn; chat completions have one message. */
function turns(messages: Json[]): Json[] {
  const all: Json[] = [];
  for (const message of messages) {
    const last = all.at(-1);
    if (last?.role !== "assistant" || message.role !== "assistant") {
      all.push({ ...message });
      continue;
    }
    const calls = [...listOf(last.tool_calls), ...listOf(message.tool_calls)];
    Object.assign(last, message, { content: message.content ?? last.content ?? null });
    if (calls.length > 0) last.tool_calls = calls;
  }
  return all;
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}
