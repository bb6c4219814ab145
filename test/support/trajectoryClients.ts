import { randomUUID } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

/** A request that a client sent, and what became of it there. */
export interface Sent {
  /** LiteLLM's call id, which the client chose. */
  id: string;
  conversation: string;
  /** Milliseconds of this clock when it was sent. */
  at: number;
  /** What its line has to say. */
  outcome: "ok" | "error" | "disconnected";
  status?: number;
}

/** A conversation as the client has it at its end. */
export interface Talk {
  conversation: string;
  protocol: "openai" | "anthropic" | "responses";
  messages: unknown[];
}

const TOWN = { type: "object" as const, properties: { city: { type: "string" } } };
const TURNS = ["and tomorrow?", 'and then, \u2028 "quoted" — ü?'];

/** Clients of one box, which remember what they did. */
export class TrajectoryClients {
  readonly sent: Sent[] = [];
  readonly talks: Talk[] = [];

  constructor(
    private readonly endpoint: string,
    private readonly key: string,
  ) {}

  /** Remembers a call and gives the header fields that name it. */
  private call(conversation: string, outcome: Sent["outcome"] = "ok") {
    const sent: Sent = { id: randomUUID(), conversation, at: performance.now(), outcome };
    this.sent.push(sent);
    return { sent, headers: { "x-litellm-call-id": sent.id, "x-litellm-session-id": conversation } };
  }

  /** A talk of four calls with a tool, every second one streamed, by OpenAI's own client. */
  async openai(model: string, tool: string): Promise<void> {
    const client = new OpenAI({
      baseURL: `${this.endpoint}/v1`,
      apiKey: this.key,
      maxRetries: 0,
      timeout: 120_000,
    });
    const conversation = `openai-${randomUUID()}`;
    const tools = [{ type: "function" as const, function: { name: tool, parameters: TOWN } }];
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "what is the weather?" }];
    const turns = [...TURNS];
    for (let number = 0; number < 4; number++) {
      const { headers } = this.call(conversation);
      const body = { model, messages, tools, max_tokens: 64 };
      const completion =
        number % 2 === 0
          ? await client.chat.completions.create(body, { headers })
          : await client.chat.completions.stream(body, { headers }).finalChatCompletion();
      const { content, tool_calls: calls } = completion.choices[0]!.message;
      messages.push({ role: "assistant", content, ...(calls ? { tool_calls: calls.map(plainCall) } : {}) });
      if (calls)
        for (const { id } of calls) messages.push({ role: "tool", tool_call_id: id, content: "rain" });
      else if (number < 3) messages.push({ role: "user", content: turns.shift()! });
    }
    this.talks.push({ conversation, protocol: "openai", messages });
  }

  /** The same by Anthropic's. */
  async anthropic(model: string, tool: string): Promise<void> {
    const client = new Anthropic({
      baseURL: this.endpoint,
      apiKey: this.key,
      maxRetries: 0,
      timeout: 120_000,
    });
    const conversation = `anthropic-${randomUUID()}`;
    const tools = [{ name: tool, input_schema: TOWN }];
    const messages: Anthropic.MessageParam[] = [{ role: "user", content: "what is the weather?" }];
    const turns = [...TURNS];
    for (let number = 0; number < 4; number++) {
      const { headers } = this.call(conversation);
      const body = { model, messages, tools, max_tokens: 64, system: "be brief" };
      const message =
        number % 2 === 0
          ? await client.messages.create(body, { headers })
          : await client.messages.stream(body, { headers }).finalMessage();
      messages.push({ role: "assistant", content: message.content });
      const calls = message.content.filter((block) => block.type === "tool_use");
      if (calls.length > 0)
        messages.push({
          role: "user",
          content: calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "rain" })),
        });
      else if (number < 3) messages.push({ role: "user", content: turns.shift()! });
    }
    this.talks.push({ conversation, protocol: "anthropic", messages });
  }

  /** A talk of four responses, every second one streamed: each sends the items of all before it. */
  async responses(model: string): Promise<void> {
    const client = new OpenAI({
      baseURL: `${this.endpoint}/v1`,
      apiKey: this.key,
      maxRetries: 0,
      timeout: 120_000,
    });
    const conversation = `responses-${randomUUID()}`;
    const items: OpenAI.Responses.ResponseInputItem[] = [{ role: "user", content: "what is the weather?" }];
    for (let number = 0; number < 4; number++) {
      const { headers } = this.call(conversation);
      const body = { model, input: items, instructions: "be brief", max_output_tokens: 64 };
      const response =
        number % 2 === 0
          ? await client.responses.create(body, { headers })
          : await lastOf(await client.responses.create({ ...body, stream: true }, { headers }));
      items.push(...(response.output as OpenAI.Responses.ResponseInputItem[]));
      if (number < 3) items.push({ role: "user", content: `and ${number}?` });
    }
    this.talks.push({ conversation, protocol: "responses", messages: items });
  }

  /** A streamed request whose upstream breaks off: the client gets a status of 200, and then an error. */
  async breaks(path: string, body: unknown): Promise<void> {
    const { sent, headers } = this.call(`breaks-${randomUUID()}`, "error");
    const answer = await this.post(path, body, headers);
    await answer.text();
    sent.status = answer.status;
  }

  /** One request on its own; a status of 400 and more is expected where `outcome` says so. */
  async single(path: string, body: unknown, outcome: Sent["outcome"] = "ok"): Promise<void> {
    const { sent, headers } = this.call(`single-${randomUUID()}`, outcome);
    const answer = await this.post(path, body, headers);
    const text = await answer.text();
    sent.status = answer.status;
    if (answer.ok !== (outcome === "ok")) throw new Error(`${path} ${answer.status}: ${text.slice(0, 300)}`);
  }

  /** A streamed request whose client goes away after the first part of the answer. */
  async hangsUp(path: string, body: unknown): Promise<void> {
    const gone = new AbortController();
    const { sent, headers } = this.call(`gone-${randomUUID()}`, "disconnected");
    const answer = await this.post(path, body, headers, gone.signal);
    sent.status = answer.status;
    if (!answer.ok || !answer.body) throw new Error(`${path} ${answer.status}: ${await answer.text()}`);
    for await (const part of answer.body) if (Buffer.from(part).includes("data:")) break;
    gone.abort();
  }

  /** A request that may find its gateway killed: what the client got is in `status`, none when nothing. */
  async daring(path: string, body: unknown): Promise<void> {
    const { sent, headers } = this.call(`daring-${randomUUID()}`);
    try {
      const answer = await this.post(path, body, headers);
      await answer.text();
      sent.status = answer.status;
    } catch {
      sent.status = undefined;
    }
  }

  private post(path: string, body: unknown, headers: Record<string, string>, signal?: AbortSignal) {
    return fetch(`${this.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
      signal,
    });
  }
}

/** The response that a stream of events ends with. */
async function lastOf(stream: AsyncIterable<OpenAI.Responses.ResponseStreamEvent>) {
  let last: OpenAI.Responses.Response | undefined;
  for await (const event of stream) if (event.type === "response.completed") last = event.response;
  if (!last) throw new Error("a stream of a response has no end");
  return last;
}

/** A call without what OpenAI's client adds to it. */
function plainCall(call: OpenAI.ChatCompletionMessageToolCall) {
  if (call.type !== "function") throw new Error(`a call of type ${call.type}`);
  const { name, arguments: input } = call.function;
  return { id: call.id, type: call.type, function: { name, arguments: input } };
}

/** Works through jobs, a few at a time; the first that fails is thrown when all have ended. */
export async function inParallel(workers: number, jobs: (() => Promise<void>)[]): Promise<void> {
  const left = [...jobs];
  const worker = async () => {
    for (let job = left.shift(); job; job = left.shift()) await job();
  };
  const ended = await Promise.allSettled(Array.from({ length: workers }, worker));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}
