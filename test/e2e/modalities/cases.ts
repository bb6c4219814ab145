import { randomBytes } from "node:crypto";
import type { ClientRoute } from "../../../configs/network/clientRoutes";
import { ANY_MODE, type Mode } from "../../../configs/schema/model";
import { type Asked, sha256 } from "../../support/modalities";

const MIB = 1024 ** 2;

/** The same server twice: in a container of the box behind its valve, and as one that already runs somewhere. */
export const ENGINES = ["container", "openai"] as const;
export type EngineName = (typeof ENGINES)[number];
export const modes = ANY_MODE.filter((mode) => mode !== "completion");
export const nameOf = (engine: EngineName, mode: Mode) => `${engine}-${mode.replaceAll("_", "-")}`;

export const SOUND = randomBytes(25 * MIB);
export const PICTURE = randomBytes(1000);
export const MASK = randomBytes(500);
/** What modalities.py says by /v1/audio/speech. */
const SPOKEN = Buffer.alloc(MIB, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
const drawn = [{ b64_json: Buffer.from("picture").toString("base64") }];
export const messages = [{ role: "user", content: "hi" }];

/** What a client sends, what has to reach the model's server, and what has to come back. */
export interface Case {
  mode: Mode;
  /** Without `model`. */
  body?: Record<string, unknown>;
  form?: [name: string, value: string | { file: string; bytes: Uint8Array }][];
  reaches: Pick<Asked, "path" | "json" | "form">[];
  /** Of the answer; `text`: what its stream says. */
  whole: unknown;
  streamed?: { reaches: Pick<Asked, "path" | "json">[]; text: string };
}

const said = { choices: [{ message: { role: "assistant", content: "one two" }, finish_reason: "stop" }] };
const streaming = { stream: true, stream_options: { include_usage: true } };

/** By route: a route that opens and has no case here does not compile. */
export const CASES: Record<Exclude<ClientRoute, "/v1/responses/">, (engine: EngineName) => Case> = {
  "/v1/chat/completions": () => ({
    mode: "chat",
    body: { messages, temperature: 0.5 },
    reaches: [
      { path: "/v1/chat/completions", json: { model: "served", messages, temperature: 0.5, stream: false } },
    ],
    whole: said,
    streamed: {
      reaches: [
        { path: "/v1/chat/completions", json: { model: "served", messages, temperature: 0.5, ...streaming } },
      ],
      text: "one two",
    },
  }),
  "/v1/completions": () => ({
    mode: "chat",
    body: { prompt: "hi", max_tokens: 3 },
    reaches: [{ path: "/v1/completions", json: { model: "served", prompt: "hi", max_tokens: 3 } }],
    whole: { choices: [{ text: "one two", finish_reason: "stop" }] },
    streamed: {
      reaches: [
        { path: "/v1/completions", json: { model: "served", prompt: "hi", max_tokens: 3, stream: true } },
      ],
      text: "one two",
    },
  }),
  "/v1/embeddings": () => ({
    mode: "embedding",
    body: { input: ["hi"] },
    reaches: [{ path: "/v1/embeddings", json: { model: "served", input: ["hi"] } }],
    whole: { data: [{ index: 0, embedding: [0.25, 0.5] }] },
  }),
  "/v1/messages": (engine) => {
    const path = engine === "container" ? "/v1/chat/completions" : "/v1/messages";
    const json = { model: "served", messages, max_tokens: 3 };
    return {
      mode: "chat",
      body: { messages, max_tokens: 3 },
      reaches: [{ path, json: engine === "container" ? json : { ...json, stream: false } }],
      whole: { type: "message", content: [{ type: "text", text: "one two" }], stop_reason: "end_turn" },
      streamed: {
        reaches: [{ path, json: { ...json, ...(engine === "container" ? streaming : { stream: true }) } }],
        text: "one two",
      },
    };
  },
  "/v1/messages/count_tokens": (engine) => ({
    mode: "chat",
    body: { messages },
    reaches:
      engine === "container"
        ? []
        : [{ path: "/v1/messages/count_tokens", json: { model: "served", messages } }],
    whole: { input_tokens: engine === "container" ? expect.any(Number) : 4711 },
  }),
  "/v1/responses": () => ({
    mode: "chat",
    body: { input: "hi", store: true },
    reaches: [{ path: "/v1/responses", json: { model: "served", input: "hi", store: true } }],
    whole: { status: "completed", output: [{ content: [{ type: "output_text", text: "one two" }] }] },
    streamed: {
      reaches: [{ path: "/v1/responses", json: { model: "served", input: "hi", store: true, stream: true } }],
      text: "one two",
    },
  }),
  "/v1/rerank": () => ({
    mode: "rerank",
    body: { query: "hi", documents: ["a", "b"], top_n: 2 },
    reaches: [
      { path: "/v1/rerank", json: { model: "served", query: "hi", documents: ["a", "b"], top_n: 2 } },
    ],
    whole: {
      results: [
        { index: 1, relevance_score: 0.75 },
        { index: 0, relevance_score: 0.25 },
      ],
    },
  }),
  "/v1/audio/transcriptions": (engine) => ({
    mode: "audio_transcription",
    form: [
      ["language", "de"],
      ["file", { file: "speech.wav", bytes: SOUND }],
    ],
    reaches: [
      {
        path: "/v1/audio/transcriptions",
        form: [
          { name: "model", text: "served" },
          { name: "language", text: "de" },
          // LiteLLM asks openai/ so, to know how long the sound was.
          ...(engine === "container" ? [{ name: "response_format", text: "verbose_json" }] : []),
          { name: "file", file: "speech.wav", bytes: SOUND.length, sha256: sha256(SOUND) },
        ],
      },
    ],
    whole: { text: "one two" },
  }),
  "/v1/audio/speech": () => ({
    mode: "audio_speech",
    body: { input: "hi", voice: "v", response_format: "mp3", speed: 1.5 },
    reaches: [
      {
        path: "/v1/audio/speech",
        json: { model: "served", input: "hi", voice: "v", response_format: "mp3", speed: 1.5 },
      },
    ],
    whole: { type: "audio/mpeg", sha256: sha256(SPOKEN) },
  }),
  "/v1/images/generations": () => {
    const body = { prompt: "a cat", n: 1, size: "256x256", response_format: "b64_json", seed: 7 };
    return {
      mode: "image_generation",
      body,
      reaches: [{ path: "/v1/images/generations", json: { model: "served", ...body } }],
      whole: { data: drawn },
    };
  },
  "/v1/images/edits": () => ({
    mode: "image_generation",
    form: [
      ["prompt", "a cat"],
      ["size", "256x256"],
      ["image[]", { file: "cat.png", bytes: PICTURE }],
      ["image[]", { file: "dog.png", bytes: MASK }],
    ],
    reaches: [
      {
        path: "/v1/images/edits",
        form: [
          { name: "model", text: "served" },
          { name: "size", text: "256x256" },
          { name: "prompt", text: "a cat" },
          { name: "image[]", file: "image.png", bytes: PICTURE.length, sha256: sha256(PICTURE) },
          { name: "image[]", file: "image.png", bytes: MASK.length, sha256: sha256(MASK) },
        ],
      },
    ],
    whole: { data: drawn },
  }),
  "/v1/moderations": () => ({
    mode: "moderation",
    body: { input: ["hi"] },
    reaches: [{ path: "/v1/moderations", json: { model: "served", input: ["hi"] } }],
    whole: {
      results: [
        {
          flagged: true,
          categories: expect.objectContaining({ violence: true }),
          category_scores: expect.objectContaining({ violence: 0.75 }),
        },
      ],
    },
  }),
};
