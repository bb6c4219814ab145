import { type SseEvent, sseEvents } from "../../operations/smoke/sse";

/** A tool that a request offers, in the words that both protocols share. */
export interface Tool {
  name: string;
  description: string;
  /** JSON Schema of its arguments. */
  schema: Record<string, unknown>;
}

/** What a client sends: a question, maybe with an image, tools, and the turn in which one of them was called. */
export interface Question {
  model: string;
  text: string;
  maxTokens: number;
  stream: boolean;
  tools?: Tool[];
  image?: { mediaType: string; base64: string };
  /** The call of the turn before, and what the tool said. */
  called?: { call: Call; result: string };
}

export interface Call {
  id: string;
  name: string;
  arguments: unknown;
}

/** An answer in the words that both protocols share. */
export interface Answer {
  text: string;
  calls: Call[];
  /** Why it ended, in the protocol's own word. */
  stop: string;
}

/** How a question becomes a request of a protocol, and the answer is read: whole, or put together from its stream. */
export interface Protocol {
  path: string;
  /** Its words for an answer that is complete, and for one that calls a tool. */
  stops: { complete: string; call: string };
  body(question: Question): Record<string, unknown>;
  whole(body: unknown): Answer;
  streamed(events: SseEvent[]): Answer;
}

interface ChatMessage {
  content: string | null;
  tool_calls?: { index?: number; id?: string; function: { name?: string; arguments: string } }[];
}

const chat: Protocol = {
  path: "/v1/chat/completions",
  stops: { complete: "stop", call: "tool_calls" },
  body({ model, text, maxTokens, stream, tools, image, called }) {
    const url = image && `data:${image.mediaType};base64,${image.base64}`;
    const parts = [
      { type: "text", text },
      { type: "image_url", image_url: { url } },
    ];
    const call = called && {
      id: called.call.id,
      type: "function",
      function: { name: called.call.name, arguments: JSON.stringify(called.call.arguments) },
    };
    return {
      ...{ model, stream, max_tokens: maxTokens },
      messages: [
        { role: "user", content: image ? parts : text },
        ...(called
          ? [
              { role: "assistant", content: null, tool_calls: [call] },
              { role: "tool", tool_call_id: called.call.id, content: called.result },
            ]
          : []),
      ],
      tools: tools?.map(({ name, description, schema }) => ({
        type: "function",
        function: { name, description, parameters: schema },
      })),
    };
  },
  whole(body) {
    const { choices } = body as { choices: [{ message: ChatMessage; finish_reason: string }] };
    const [{ message, finish_reason: stop }] = choices;
    const calls = (message.tool_calls ?? []).map((call) => ({
      id: call.id ?? "",
      name: call.function.name ?? "",
      arguments: JSON.parse(call.function.arguments),
    }));
    return { text: message.content ?? "", calls, stop };
  },
  streamed(events) {
    let [text, stop] = ["", ""];
    const calls: { id: string; name: string; arguments: string }[] = [];
    expect(events.at(-1)?.data).toBe("[DONE]");
    for (const { data } of events.slice(0, -1)) {
      const chunk = JSON.parse(data) as { choices: { delta: ChatMessage; finish_reason: string | null }[] };
      for (const { delta, finish_reason } of chunk.choices) {
        text += delta.content ?? "";
        stop = finish_reason ?? stop;
        for (const { index = 0, id, function: part } of delta.tool_calls ?? []) {
          calls[index] ??= { id: "", name: "", arguments: "" };
          calls[index].id += id ?? "";
          calls[index].name += part.name ?? "";
          calls[index].arguments += part.arguments ?? "";
        }
      }
    }
    return { text, calls: calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })), stop };
  },
};

type Block = { type: "text"; text: string } | { type: "tool_use"; id: string; name: string; input: unknown };

function answerOf(blocks: Block[], stop: string): Answer {
  const text = blocks.map((block) => (block.type === "text" ? block.text : "")).join("");
  const calls = blocks.flatMap((block) =>
    block.type === "tool_use" ? [{ id: block.id, name: block.name, arguments: block.input }] : [],
  );
  return { text, calls, stop };
}

const messages: Protocol = {
  path: "/v1/messages",
  stops: { complete: "end_turn", call: "tool_use" },
  body({ model, text, maxTokens, stream, tools, image, called }) {
    const source = image && { type: "base64", media_type: image.mediaType, data: image.base64 };
    const parts = [
      { type: "text", text },
      { type: "image", source },
    ];
    return {
      ...{ model, stream, max_tokens: maxTokens },
      messages: [
        { role: "user", content: image ? parts : text },
        ...(called
          ? [
              {
                role: "assistant",
                content: [
                  {
                    type: "tool_use",
                    id: called.call.id,
                    name: called.call.name,
                    input: called.call.arguments,
                  },
                ],
              },
              {
                role: "user",
                content: [{ type: "tool_result", tool_use_id: called.call.id, content: called.result }],
              },
            ]
          : []),
      ],
      tools: tools?.map(({ name, description, schema }) => ({ name, description, input_schema: schema })),
    };
  },
  whole(body) {
    const { content, stop_reason: stop } = body as { content: Block[]; stop_reason: string };
    return answerOf(content, stop);
  },
  streamed(events) {
    let stop = "";
    const blocks: Block[] = [];
    const json: string[] = [];
    expect(events.at(-1)?.event).toBe("message_stop");
    for (const { data } of events) {
      const event = JSON.parse(data) as {
        index: number;
        content_block?: Block;
        delta?: { type?: string; text?: string; partial_json?: string; stop_reason?: string };
      };
      if (event.content_block) blocks[event.index] = event.content_block;
      const block = blocks[event.index];
      if (block?.type === "text") block.text += event.delta?.text ?? "";
      if (block?.type === "tool_use")
        json[event.index] = (json[event.index] ?? "") + (event.delta?.partial_json ?? "");
      stop = event.delta?.stop_reason ?? stop;
    }
    for (const [index, block] of blocks.entries())
      if (block.type === "tool_use" && json[index]) block.input = JSON.parse(json[index]);
    return answerOf(blocks, stop);
  },
};

/** Both protocols that clients speak to a box. */
export const protocols = { chat, messages };

/** Asks a box, and throws with its words when it refuses. */
export async function ask(
  endpoint: string,
  key: string,
  protocol: Protocol,
  question: Question,
): Promise<Answer> {
  const response = await post(endpoint, key, protocol, question);
  if (!question.stream) return protocol.whole(await response.json());
  const events: SseEvent[] = [];
  for await (const event of sseEvents(response.body!)) events.push(event);
  return protocol.streamed(events);
}

/** Tokens of a question, as the box counted them when it answered it whole. */
export async function promptTokens(
  endpoint: string,
  key: string,
  protocol: Protocol,
  question: Question,
): Promise<number> {
  const response = await post(endpoint, key, protocol, { ...question, stream: false });
  const { usage } = (await response.json()) as { usage: Record<string, number> };
  return usage.prompt_tokens ?? usage.input_tokens ?? Number.NaN;
}

async function post(
  endpoint: string,
  key: string,
  protocol: Protocol,
  question: Question,
): Promise<Response> {
  const response = await fetch(`${endpoint}${protocol.path}`, {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify(protocol.body(question)),
  });
  if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`);
  return response;
}
