import { z } from "zod";

/** Version of the lines and of the counter's records. It changes when a key changes its meaning. */
export const SCHEMA_VERSION = 1;

const time = z.iso.datetime({ precision: 6 }).describe("UTC with microseconds.");
const name = z.string().nullable();
const count = z.int().min(0);

const error = z
  .strictObject({ type: name, message: z.string(), code: name })
  .nullable()
  .describe("The error that the client received, or why an attempt failed. Null: no error.");

const requestParts = {
  method: z.string(),
  path: z.string().describe("Without the query."),
  headers: z
    .record(z.string(), z.string())
    .describe("Header fields that identify client, protocol version and conversation; no others."),
  redacted: z.boolean().describe("True: keys were removed from the body."),
};

const request = z.union([
  z.strictObject({ ...requestParts, body_base64: z.string().describe("A body that is not JSON.") }),
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
    z.strictObject({ ...responseParts, body_base64: z.string().describe("An answer that is not JSON.") }),
    z.strictObject({
      ...responseParts,
      body: z.unknown().describe("The answer as the client received it; the parts of a stream are joined."),
    }),
  ])
  .nullable()
  .describe("Null for attempts that were retried: no client saw their answers.");

const upstream = z
  .strictObject({
    deployment: z.string().describe("`model_info.id` of the gateway's config."),
    model: name.describe("The model's name there."),
    provider: name,
    api_base: name,
  })
  .nullable()
  .describe("The deployment that the gateway asked. Null: none.");

/** One attempt of one request. */
export const lineSchema = z.strictObject({
  schema: z.literal(SCHEMA_VERSION),
  id: z.uuid().describe("The request's id, the same in all of its lines and in the counter."),
  attempt: z.int().min(1).describe("Counts from 1."),
  final: z.boolean().describe("True in a request's last line, which holds the answer."),
  seq: z.int().min(1).describe("Number of the request in order of arrival, per process."),
  process: z.string().describe("The gateway process; a restart makes a new one."),
  job: name,
  generation: name.describe("Generation of the main gateway."),
  call_id: name.describe("LiteLLM's call id, which the answer has as x-litellm-call-id."),
  trace_id: z.string().describe("The client's trace, or LiteLLM's, or the request's id."),
  session_id: name.describe(
    "The client's session. It identifies the conversation; without it the trace does.",
  ),
  started_at: time.describe("Arrival of the request; for later attempts, the start of the attempt."),
  ended_at: time,
  duration_ms: z.number(),
  first_token_ms: z.number().nullable().describe("From started_at to the first part of a streamed answer."),
  protocol: z.enum(["openai", "anthropic", "cohere", "google"]),
  route: z.string().describe("The path without prefixes: chat/completions, messages, …"),
  model: name.describe("The name that the client asked for."),
  stream: z.boolean(),
  outcome: z
    .enum(["ok", "error", "disconnected", "cancelled"])
    .describe("disconnected: the client hung up. cancelled: the gateway stopped before the answer ended."),
  error,
  upstream,
  usage: z
    .strictObject({ prompt_tokens: count, completion_tokens: count, total_tokens: count })
    .nullable()
    .describe("As LiteLLM counts; the answer contains the model's own figures."),
  cost: z.number().nullable().describe("USD, by LiteLLM's prices."),
  cache_hit: z.boolean().nullable().describe("True: the answer came from the gateway's cache."),
  told: z
    .boolean()
    .describe("False: LiteLLM's callback did not report it, so upstream, usage and cost come from the wire."),
  request,
  response,
});

export type TrajectoryLine = z.infer<typeof lineSchema>;

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** A record of the counter in front of the gateway: every arriving request, whether or not a line follows. */
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
    logged_sha256: hash.optional().describe("Of the body in the lines, where it differs from the raw one."),
    complete: z.literal(false).optional().describe("The client hung up while it sent its request."),
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
    held: count.describe("Records that were only in memory; lost where `process` is null."),
    dropped: count.describe("Lost records."),
    refused: count.describe("Requests refused under onLogFailure: refuse."),
    requests: z.array(z.uuid()).describe("Requests that lost a record, as many as there was room for."),
    process: name.optional().describe("Null: the process died during the gap."),
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
