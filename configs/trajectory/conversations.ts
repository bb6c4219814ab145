import { createHash } from "node:crypto";
import { stableJson } from "../plan/text";
import type { TrajectoryLine } from "./line";

export type Json = Record<string, unknown>;
export type ChatProtocol = "openai" | "anthropic";

/** What a conversation's file is made of: an answered call with a list of messages. */
export interface ChatCall {
  id: string;
  protocol: ChatProtocol;
  model: string | null;
  messages: unknown[];
  /** The answer's messages: one, or one for each choice that was asked for. */
  answers: Json[];
  system?: unknown;
  tools?: unknown;
}

/** A list of messages as the client sent them last, and the answer to it as the client received it. */
export interface Branch {
  protocol: ChatProtocol;
  model: string | null;
  /** Ids of the requests that built it, in their order. */
  calls: string[];
  system?: unknown;
  tools?: unknown;
  messages: unknown[];
  /** Earlier answers that the client sent back otherwise than it received them. */
  received?: { index: number; message: Json }[];
}

/** A conversation is the client's session, else its trace. */
export function conversationOf({ session_id, trace_id }: TrajectoryLine): string {
  return session_id ?? trace_id;
}

/** The call of a line; undefined where there is no message list or no whole answer. */
export function chatCall(line: TrajectoryLine): ChatCall | undefined {
  if (!line.final || line.outcome !== "ok" || !line.response?.complete || line.response.status !== 200)
    return undefined;
  if (!("body" in line.request) || !("body" in line.response)) return undefined;
  const asked = objectOf(line.request.body);
  const said = objectOf(line.response.body);
  if (!Array.isArray(asked.messages)) return undefined;
  const { messages, tools } = asked as { messages: unknown[]; tools?: unknown };
  const call = { id: line.id, model: line.model, messages, ...(tools === undefined ? {} : { tools }) };
  if (line.route === "chat/completions") {
    const choices = Array.isArray(said.choices) ? (said.choices as { message?: Json }[]) : [];
    const answers = choices.flatMap(({ message }) => (message ? [message] : []));
    return answers.length > 0 ? { ...call, protocol: "openai", answers } : undefined;
  }
  if (line.route !== "messages" || !Array.isArray(said.content)) return undefined;
  const answers = [{ role: "assistant", content: said.content }];
  const system = asked.system === undefined ? {} : { system: asked.system };
  return { ...call, ...system, protocol: "anthropic", answers };
}

/**
 * The branches of one conversation, from its calls in their order. A call whose messages begin with those of an earlier one
 * goes on with it; any other, as of a second agent or after the client shortened its history, begins a branch.
 */
export function branches(calls: ChatCall[]): Branch[] {
  const growing: { calls: ChatCall[]; hashes: string[] }[] = [];
  for (const call of calls) {
    const hashes = call.messages.map(messageHash);
    const parents = growing.filter(
      (branch) =>
        branch.calls[0]!.protocol === call.protocol &&
        branch.hashes.length < hashes.length &&
        branch.hashes.every((hash, index) => hash === hashes[index]),
    );
    const parent = parents.sort((a, b) => b.hashes.length - a.hashes.length)[0];
    if (parent) {
      parent.calls.push(call);
      parent.hashes = hashes;
    } else growing.push({ calls: [call], hashes });
  }
  return growing.flatMap(({ calls }) => finished(calls));
}

function finished(calls: ChatCall[]): Branch[] {
  const last = calls.at(-1)!;
  const received = calls.slice(0, -1).flatMap(({ messages, answers }) => {
    const index = messages.length;
    const echoed = messageHash(last.messages[index]);
    const [message] = answers;
    return !message || answers.some((one) => messageHash(one) === echoed) ? [] : [{ index, message }];
  });
  const { protocol, model, system, tools } = last;
  return last.answers.map((answer) => ({
    protocol,
    model,
    calls: calls.map(({ id }) => id),
    ...(system === undefined ? {} : { system }),
    ...(tools === undefined ? {} : { tools }),
    messages: [...last.messages, answer],
    ...(received.length > 0 ? { received } : {}),
  }));
}

function messageHash(message: unknown): string {
  return createHash("sha256")
    .update(stableJson(message ?? null))
    .digest("hex");
}

function objectOf(value: unknown): Json {
  return value !== null && typeof value === "object" ? (value as Json) : {};
}
