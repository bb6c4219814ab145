import { z } from "zod";
import { parseJson } from "../../platform/json";
import type { SseEvent } from "./sse";

/** A way of asking a model, for example `/v1/chat/completions` or Anthropic's `/v1/messages`. */
export type SmokeProtocol = "chat" | "completions" | "messages" | "embeddings" | "rerank";

// A model may spend all 32 tokens on thinking, so its thoughts count as text: they prove the path as well.
const said = z.string().nullish();
const stop = z.string().nullish();
const Said = z.object({ content: said, reasoning_content: said });
const thought = (part: z.infer<typeof Said>) => (part.reasoning_content ?? "") + (part.content ?? "");

export const Readiness = z.object({ status: z.string(), db: z.string().nullish() });
export const ModelList = z.object({ data: z.array(z.object({ id: z.string() })) });
const Chat = z.object({ choices: z.array(z.object({ message: Said, finish_reason: z.string() })).min(1) });
const ChatChunk = z.object({ choices: z.array(z.object({ delta: Said, finish_reason: stop })) });
const Completion = z.object({
  choices: z.array(z.object({ text: z.string(), finish_reason: z.string() })).min(1),
});
const CompletionChunk = z.object({ choices: z.array(z.object({ text: said, finish_reason: stop })) });
const Embeddings = z.object({ data: z.array(z.object({ embedding: z.array(z.number()).min(1) })).min(1) });
const Rerank = z.object({ results: z.array(z.object({ relevance_score: z.number() })).min(1) });
const Block = z.object({ text: said, thinking: said });
const Message = z.object({ type: z.literal("message"), content: z.array(Block), stop_reason: z.string() });
const MessageEvent = z.object({ type: z.string(), delta: Block.optional() });
export const ErrorBody = z
  .object({
    error: z.union([z.string(), z.object({ message: z.string() }).transform((error) => error.message)]),
  })
  .transform(({ error }) => error);

/** How to ask by one protocol, and how to read the answer. */
export interface SmokeRoute {
  path: string;
  anthropic: boolean;
  prompt: (question: string) => Record<string, unknown>;
  /** The text of a complete plain answer. */
  text: (body: string) => string;
  /** Absent when the protocol has no streams. */
  stream?: {
    /** What one event of a stream adds: text, or a mark of the protocol. */
    piece: (event: SseEvent) => { text: string; mark?: string };
    /** The marks of a complete stream, in order. */
    marks: string[];
  };
}

// Few tokens: a smoke test asks whether a model answers, not what.
const small = { max_tokens: 32 };
const asMessages = (question: string) => ({ ...small, messages: [{ role: "user", content: question }] });
const openAiMarks = ["a finish_reason", "[DONE]"];

export const SMOKE_ROUTES: Record<SmokeProtocol, SmokeRoute> = {
  chat: {
    path: "/v1/chat/completions",
    anthropic: false,
    prompt: asMessages,
    text: (body) => thought(parsed(Chat, body).choices[0]!.message),
    stream: {
      piece: ({ data }) => {
        if (data === "[DONE]") return { text: "", mark: "[DONE]" };
        const choice = parsed(ChatChunk, data).choices[0];
        return {
          text: choice ? thought(choice.delta) : "",
          mark: choice?.finish_reason ? "a finish_reason" : undefined,
        };
      },
      marks: openAiMarks,
    },
  },
  completions: {
    path: "/v1/completions",
    anthropic: false,
    prompt: (question) => ({ ...small, prompt: question }),
    text: (body) => parsed(Completion, body).choices[0]!.text,
    stream: {
      piece: ({ data }) => {
        if (data === "[DONE]") return { text: "", mark: "[DONE]" };
        const choice = parsed(CompletionChunk, data).choices[0];
        return { text: choice?.text ?? "", mark: choice?.finish_reason ? "a finish_reason" : undefined };
      },
      marks: openAiMarks,
    },
  },
  messages: {
    path: "/v1/messages",
    anthropic: true,
    prompt: asMessages,
    text: (body) =>
      parsed(Message, body)
        .content.map((block) => (block.thinking ?? "") + (block.text ?? ""))
        .join(""),
    stream: {
      piece: ({ data }) => {
        const { type, delta } = parsed(MessageEvent, data);
        const mark = type === "message_start" || type === "message_stop" ? type : undefined;
        return { text: (delta?.thinking ?? "") + (delta?.text ?? ""), mark };
      },
      marks: ["message_start", "message_stop"],
    },
  },
  embeddings: {
    path: "/v1/embeddings",
    anthropic: false,
    prompt: (question) => ({ input: question }),
    text: (body) => `${parsed(Embeddings, body).data[0]!.embedding.length} numbers`,
  },
  rerank: {
    path: "/v1/rerank",
    anthropic: false,
    prompt: (question) => ({ query: question, documents: ["a few words", "nothing"] }),
    text: (body) => `${parsed(Rerank, body).results.length} documents`,
  },
};

/** @throws Error that says how the text differs from the shape */
export function parsed<T>(schema: z.ZodType<T>, text: string): T {
  const value = parseJson(text);
  if (value === undefined) throw new Error(`the answer is not JSON: ${text}`);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`the answer has another shape: ${issues.join("; ")}`);
}

/** The message in a server's error body, or the whole body without one. */
export function serverMessage(body: string): string {
  const error = ErrorBody.safeParse(parseJson(body));
  return error.success ? error.data : body.trim() || "no message";
}
