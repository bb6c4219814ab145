import { createHash } from "node:crypto";
import { stableJson } from "../../configs/kit/text";
import type { TrajectoryLine } from "./line";

export type Json = Record<string, unknown>;
/** Protocols that conversations can be translated to. */
export type ChatProtocol = "openai" | "anthropic";
/** Protocols that clients speak. `responses` is OpenAI's API with lists of items. */
export type ClientProtocol = ChatProtocol | "responses";

/** An answered call with a list of messages, from which a conversation is built. */
export interface ChatCall {
  id: string;
  protocol: ClientProtocol;
  model: string | null;
  messages: unknown[];
  /** The answer of each requested choice: one message, or the items of a response. */
  answers: Json[][];
  system?: unknown;
  tools?: unknown;
  /** For a response: its own id, and the id of the response that it continues. */
  response?: { id: unknown; previous?: unknown };
}

/** The client's last list of messages, and the answer as the client received it. */
export interface Branch {
  protocol: ClientProtocol;
  model: string | null;
  /** Ids of the requests that built it, in order. */
  calls: string[];
  system?: unknown;
  tools?: unknown;
  messages: unknown[];
  /** Earlier answers that the client changed before it sent them back. */
  received?: { index: number; message: Json }[];
  /** The response before the first item, where this conversation lacks it. */
  previous?: unknown;
}

/** A conversation is the client's session, or its trace without one. */
export function conversationOf({ session_id, trace_id }: TrajectoryLine): string {
  return session_id ?? trace_id;
}

/** Identifies a conversation across jobs: two jobs may have sessions of the same name. */
export function conversationKey(line: TrajectoryLine): string {
  return JSON.stringify([line.job ?? null, conversationOf(line)]);
}

/** The call of a line. Undefined without a message list or a complete answer. */
export function chatCall(line: TrajectoryLine): ChatCall | undefined {
  if (!line.final || line.outcome !== "ok" || !line.response?.complete || line.response.status !== 200)
    return undefined;
  if (!("body" in line.request) || !("body" in line.response)) return undefined;
  const asked = objectOf(line.request.body);
  const said = objectOf(line.response.body);
  const call = { id: line.id, model: line.model, ...given("tools", asked.tools) };
  if (line.route === "responses") return responseCall(call, asked, said);
  if (!Array.isArray(asked.messages)) return undefined;
  const { messages } = asked as { messages: unknown[] };
  if (line.route === "chat/completions") {
    const choices = Array.isArray(said.choices) ? (said.choices as { message?: Json }[]) : [];
    const answers = choices.flatMap(({ message }) => (message ? [[message]] : []));
    return answers.length > 0 ? { ...call, protocol: "openai", messages, answers } : undefined;
  }
  if (line.route !== "messages" || !Array.isArray(said.content)) return undefined;
  const answers = [[{ role: "assistant", content: said.content }]];
  return { ...call, ...given("system", asked.system), protocol: "anthropic", messages, answers };
}

function responseCall(
  call: Pick<ChatCall, "id" | "model" | "tools">,
  asked: Json,
  said: Json,
): ChatCall | undefined {
  // A bare string is short for one user message.
  const messages =
    typeof asked.input === "string" ? [{ role: "user", content: asked.input }] : (asked.input as unknown[]);
  if (!Array.isArray(messages) || !Array.isArray(said.output)) return undefined;
  return {
    ...call,
    ...given("system", asked.instructions ?? undefined),
    protocol: "responses",
    messages,
    answers: [said.output as Json[]],
    response: { id: said.id, ...given("previous", asked.previous_response_id ?? undefined) },
  };
}

/**
 * The branches of one conversation, from its calls in order. A call whose messages begin with those of an earlier call
 * continues that call's branch, and a response continues the one that it names. Any other call begins a branch: a
 * second agent's, for example, or one after the client shortened its history.
 */
export function branches(calls: ChatCall[]): Branch[] {
  const growing: { calls: ChatCall[]; hashes: string[] }[] = [];
  for (const sent of calls) {
    const call = withHistory(sent, calls);
    const hashes = call.messages.map(messageHash);
    const parents = growing.filter(
      (branch) =>
        branch.calls[0]!.protocol === call.protocol &&
        branch.hashes.length < hashes.length &&
        branch.hashes.every((hash, index) => hash === hashes[index]),
    );
    // Two samples of one prompt have the same list: the client continues the one whose answer it sends back.
    const [parent] = parents.sort(
      (a, b) =>
        b.hashes.length - a.hashes.length ||
        Number(sendsBack(call, b.calls.at(-1)!)) - Number(sendsBack(call, a.calls.at(-1)!)),
    );
    if (parent) {
      parent.calls.push(call);
      parent.hashes = hashes;
    } else growing.push({ calls: [call], hashes });
  }
  return growing.flatMap(({ calls }) => finished(calls));
}

/** A response's items, preceded by the history that the client did not send again. */
function withHistory(call: ChatCall, calls: ChatCall[]): ChatCall {
  const { previous } = call.response ?? {};
  // Only earlier calls, so that a response that names itself ends here too.
  const before = calls.slice(0, calls.indexOf(call));
  const parent =
    previous === undefined ? undefined : before.find(({ response }) => response?.id === previous);
  if (!parent) return call;
  const { messages, answers, response } = withHistory(parent, before);
  const { previous: first } = response ?? {};
  return {
    ...call,
    messages: [...messages, ...answers[0]!, ...call.messages],
    response: { id: call.response?.id, ...given("previous", first) },
  };
}

function finished(calls: ChatCall[]): Branch[] {
  const last = calls.at(-1)!;
  const received = calls.slice(0, -1).flatMap(({ messages, answers }) => {
    const [answer] = answers;
    if (!answer || sendsBack(last, { messages, answers })) return [];
    return answer.map((message, at) => ({ index: messages.length + at, message }));
  });
  const { protocol, model, system, tools, response } = last;
  return last.answers.map((answer) => ({
    protocol,
    model,
    calls: calls.map(({ id }) => id),
    ...given("system", system),
    ...given("tools", tools),
    messages: [...last.messages, ...answer],
    ...(received.length > 0 ? { received } : {}),
    ...given("previous", response?.previous),
  }));
}

/** True when a call's messages contain an answer to an earlier call, right after that call's messages. */
function sendsBack(call: ChatCall, { messages, answers }: Pick<ChatCall, "messages" | "answers">): boolean {
  return answers.some((answer) =>
    answer.every((message, at) => messageHash(message) === messageHash(call.messages[messages.length + at])),
  );
}

function given<K extends string>(key: K, value: unknown): { [key in K]?: unknown } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: unknown });
}

function messageHash(message: unknown): string {
  return createHash("sha256")
    .update(stableJson(message ?? null))
    .digest("hex");
}

function objectOf(value: unknown): Json {
  return value !== null && typeof value === "object" ? (value as Json) : {};
}
