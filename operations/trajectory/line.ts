import { z } from "zod";

/** Version of the lines and of the counter's records; another number is another meaning of a key. */
export const SCHEMA_VERSION = 1;

const time = z.iso.datetime({ precision: 6 }).describe("UTC with microseconds.");
const name = z.string().nullable();
const count = z.int().min(0);

const error = z
  .strictObject({ type: name, message: z.string(), code: name })
  .nullable()
  .describe("What the client was told, or why an attempt failed. Null: nothing was wrong.");

const requestParts = {
  method: z.string(),
  path: z.string().describe("Without the query."),
  headers: z
    .record(z.string(), z.string())
    .describe("Header fields that identify client, protocol version and conversation; no others."),
  redacted: z.boolean().describe("True: keys were taken out of the body."),
};

const request = z.union([
  z.strictObject({ ...requestParts, body_base64: z.string().describe("A body that is no JSON.") }),
  z
    .strictObject({
      ...requestParts,
      body: z.unknown().describe("The client's own text, byte for byte unless it held a key or line breaks."),
    })
    .refine((value) => "body" in value, "body is missing"),
]);

const responseParts = {
  status: z.int().nullable().describe("HTTP status. Null: the client hung up before there was one."),
  complete: z.boolean().describe("False: the client hung up, or a stream ended without its last event."),
  bytes: count.describe("Bytes of the answer's body on the wire."),
};

const response = z
  .union([
    z.strictObject({ ...responseParts, body_base64: z.string().describe("An answer that is no JSON.") }),
    z.strictObject({
      ...responseParts,
      body: z.unknown().describe("The answer as the client received it; a stream put together."),
    }),
  ])
  .nullable()
  .describe("Null in the lines of attempts that were tried again: no client saw their answers.");

const upstream = z
  .strictObject({
    deployment: z.string().describe("`model_info.id` of the gateway's config."),
    model: name.describe("The model's name there."),
    provider: name,
    api_base: name,
  })
  .nullable()
  .describe("What was asked behind the gateway. Null: nothing was.");

/** One attempt of one request. */
export const lineSchema = z.strictObject({
  schema: z.literal(SCHEMA_VERSION),
  id: z.uuid().describe("The request: the same in all of its lines and in the counter."),
  attempt: z.int().min(1).describe("From 1, in their order."),
  final: z.boolean().describe("True in the last line of a request, the one with the answer."),
  seq: z.int().min(1).describe("Number of the request in the order of their coming, by process."),
  process: z.string().describe("The gateway process; a restart is another one."),
  job: name,
  generation: name.describe("Generation of the main gateway."),
  call_id: name.describe("LiteLLM's call id: the x-litellm-call-id of the answer."),
  trace_id: z.string().describe("The client's trace, else LiteLLM's, else the request's id."),
  session_id: name.describe("The client's session. A conversation is this, else the trace."),
  started_at: time.describe("Arrival of the request; from the second attempt on, the attempt's start."),
  ended_at: time,
  duration_ms: z.number(),
  first_token_ms: z.number().nullable().describe("From started_at to the first part of a streamed answer."),
  protocol: z.enum(["openai", "anthropic", "cohere", "google"]),
  route: z.string().describe("The path without prefixes: chat/completions, messages, …"),
  model: name.describe("The name that the client asked for."),
  stream: z.boolean(),
  outcome: z
    .enum(["ok", "error", "disconnected", "cancelled"])
    .describe("disconnected: the client hung up. cancelled: the gateway stopped before the answer's end."),
  error,
  upstream,
  usage: z
    .strictObject({ prompt_tokens: count, completion_tokens: count, total_tokens: count })
    .nullable()
    .describe("As LiteLLM counts; the answer holds the model's own figures."),
  cost: z.number().nullable().describe("USD, by LiteLLM's prices."),
  cache_hit: z.boolean().nullable().describe("True: the answer is from the gateway's cache."),
  told: z
    .boolean()
    .describe("False: LiteLLM's callback told nothing of it, so upstream, usage and cost are from the wire."),
  request,
  response,
});

export type TrajectoryLine = z.infer<typeof lineSchema>;

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** A record of the counter, in front of the gateway: what came, whether or not a line was written. */
export const counterSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("start"),
    schema: z.literal(SCHEMA_VERSION),
    process: z.string(),
    at: time,
    job: name,
    generation: name,
    host: z.string(),
  }),
  z.strictObject({
    kind: z.literal("request"),
    id: z.uuid(),
    seq: z.int().min(1),
    at: time,
    method: z.string(),
    path: z.string(),
    bytes: count,
    sha256: hash.describe("Of the raw body."),
    logged_sha256: hash.optional().describe("Of the body in the lines, where it is not the raw one."),
    complete: z.literal(false).optional().describe("The client hung up in its own request."),
  }),
  z.strictObject({
    kind: z.literal("response"),
    id: z.uuid(),
    at: time,
    status: z.int().nullable(),
    bytes: count,
    complete: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal("websocket"),
    seq: z.int().min(1),
    at: time,
    path: z.string(),
  }),
  z.strictObject({
    kind: z.literal("gap"),
    since: time,
    until: time.optional(),
    reason: z.string(),
    held: count.describe("Records that were in memory only; lost where `process` is null."),
    dropped: count.describe("Records that are lost."),
    refused: count.describe("Requests that were refused, with onLogFailure: refuse."),
    requests: z
      .array(z.uuid())
      .describe("Requests of which something is lost, as many as there was room for."),
    process: name.optional().describe("Null: the process died in the gap."),
  }),
  z.strictObject({ kind: z.literal("stop"), process: z.string(), at: time }),
]);

export type CounterRecord = z.infer<typeof counterSchema>;
export type GapRecord = Extract<CounterRecord, { kind: "gap" }>;

/** JSON Schema of both files' lines. */
export function trajectoryJsonSchema(): object {
  const draft = { io: "input" } as const;
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "gpubox trajectory log",
    description: "A line of *.jsonl is a `line`, one of *.counter.jsonl a `counter`.",
    $defs: {
      line: bare(z.toJSONSchema(lineSchema, draft)),
      counter: bare(z.toJSONSchema(counterSchema, draft)),
    },
    anyOf: [{ $ref: "#/$defs/line" }, { $ref: "#/$defs/counter" }],
  };
}

function bare({ $schema: _, ...schema }: object & { $schema?: string }): object {
  return schema;
}
