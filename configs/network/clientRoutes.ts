import type { Mode } from "../schema/model";

/**
 * The routes of model APIs at the clients' port: the one source of what the edge opens, what it says of a closed one, and what
 * docs/features.md lists.
 */

/** A route that gateways answer. */
export interface OpenRoute {
  /** It is open where a model has one of these modes. Absent: it is open in every box. */
  modes?: readonly Mode[];
  /** False: clients know it with `/v1` only. Default: also without. */
  bare?: false;
  /** True where an answer may come as a stream. */
  streams: boolean;
  /** What a gateway makes of a request, for a reader of the matrix. */
  becomes: string;
}

/** By the path that clients write; one that ends in `/` opens everything below it. */
export const OPEN_ROUTES = {
  "/v1/chat/completions": { streams: true, becomes: "The model's own route." },
  "/v1/completions": { streams: true, becomes: "The model's own route." },
  "/v1/embeddings": { streams: false, becomes: "The model's own route." },
  "/v1/messages": {
    bare: false,
    streams: true,
    becomes: "The model's own route where it has a complete one, else chat completions.",
  },
  "/v1/messages/count_tokens": {
    bare: false,
    streams: false,
    becomes: "The model's own count where it speaks `/v1/messages`, else an estimate of LiteLLM's.",
  },
  "/v1/responses": {
    streams: true,
    becomes:
      "The model's own route; chat completions with `params: { use_chat_completions_api: true }`, for a server without one.",
  },
  "/v1/responses/": {
    streams: false,
    becomes:
      "By the answer's id, the server that gave it: get, delete, cancel, input_items. Few servers keep answers; the valves of vLLM, SGLang, llama.cpp, Ollama and TensorRT-LLM close it.",
  },
  "/v1/rerank": {
    streams: false,
    becomes: "The model's own route, in the form that its provider's prefix stands for.",
  },
  "/v1/audio/transcriptions": {
    modes: ["audio_transcription"],
    streams: false,
    becomes:
      "The model's own route, the file byte for byte. The answer is JSON, whatever `response_format` says.",
  },
  "/v1/audio/speech": {
    modes: ["audio_speech"],
    streams: false,
    becomes:
      "The model's own route, the sound byte for byte. LiteLLM drops what OpenAI's API does not define, and `stream_format`.",
  },
  "/v1/images/generations": {
    modes: ["image_generation"],
    streams: false,
    becomes: "The model's own route; `provider: openai` drops `response_format`.",
  },
  "/v1/images/edits": {
    modes: ["image_generation"],
    streams: false,
    becomes:
      "The model's own route, the images byte for byte, without their names; `mask`, `quality` and `input_fidelity` by `provider: openai` only.",
  },
  "/v1/moderations": { modes: ["moderation"], streams: false, becomes: "The model's own route." },
} as const satisfies Record<string, OpenRoute>;

export type ClientRoute = keyof typeof OPEN_ROUTES;

/** Routes of model APIs that no box opens. */
export interface ClosedRoutes {
  /** What follows `/` or `/v1/`; everything below it is meant too. */
  roots: readonly string[];
  /** One sentence of why, and one of the way round. */
  why: string;
  instead: string;
}

/** What stands first is looked at first. */
export const CLOSED_ROUTES: readonly ClosedRoutes[] = [
  {
    roots: ["audio/translations"],
    why: "LiteLLM has no route that translates sound.",
    instead: "Transcribe it, and let a chat translate the text.",
  },
  {
    roots: ["images/variations"],
    why: "Only OpenAI's dall-e-2 makes variations, and LiteLLM has no route for them.",
    instead: "Use images/edits.",
  },
  {
    roots: ["batches", "files"],
    why: "A batch would run in one gateway, past its guard, its limits and its log, and would be lost with it.",
    instead: "Send its requests themselves, many at a time.",
  },
  {
    roots: ["realtime"],
    why: "It is a WebSocket, and this server upgrades no connection.",
    instead: "Transcribe with audio/transcriptions, stream chat/completions, and speak with audio/speech.",
  },
  {
    roots: ["fine_tuning"],
    why: "No model is trained here.",
    instead: "Train it elsewhere, and declare the result as a model.",
  },
  {
    roots: ["assistants", "threads", "vector_stores", "containers", "skills"],
    why: "What it keeps would lie in one account of a provider, open to every client of this box.",
    instead: "Keep it at the client, and use responses.",
  },
  {
    roots: ["audio", "images", "videos", "ocr", "search", "rag", "engines", "evals"],
    why: "No mode of a model opens this route.",
    instead: "gateway.passThrough in the stack's config leads to a server by a path of its own.",
  },
];

/** A route as clients may write it: with `/v1`, and without where they know it so. */
export function spellings(route: string, { bare }: OpenRoute = { streams: false, becomes: "" }): string[] {
  return bare === false ? [route] : [route, route.slice("/v1".length)];
}

/** The routes that are open where models have these modes, and those that wait for a model. */
export function routesFor(modes: readonly Mode[]): { open: ClientRoute[]; waiting: ClientRoute[] } {
  const all = Object.entries(OPEN_ROUTES) as [ClientRoute, OpenRoute][];
  const isOpen = (route: OpenRoute) => !route.modes || route.modes.some((mode) => modes.includes(mode));
  return {
    open: all.flatMap(([path, route]) => (isOpen(route) ? [path] : [])),
    waiting: all.flatMap(([path, route]) => (isOpen(route) ? [] : [path])),
  };
}
