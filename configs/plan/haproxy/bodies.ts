import { jsonErrorWith } from "./answers";

/** Bytes that a request's body may have, by what its route is for. */
export interface BodyLimits {
  /** Chats, completions, messages, responses, and every route that is not named below. */
  chat: number;
  /** Embeddings, rankings and moderations. */
  embeddings: number;
  /** Absent where no model transcribes or speaks. */
  audio?: number;
  /** Absent where no model draws. */
  images?: number;
}

const MIB = 1024 ** 2;

/**
 * Limits where nothing is known of the models: a million tokens of prompt, and images; a file of sound of 25 MB and a picture of
 * 50 MB, which is what OpenAI's own API takes.
 */
export const ANY_BODIES: Required<BodyLimits> = {
  ...{ chat: 64 * MIB, embeddings: 32 * MIB },
  ...{ audio: 32 * MIB, images: 64 * MIB },
};

const TEXT_PATHS = [
  "/v1/embeddings",
  "/embeddings",
  "/v1/rerank",
  "/rerank",
  "/v1/moderations",
  "/moderations",
];
/** Paths of kinds that not every box has. */
const MORE_PATHS = { audio: ["/v1/audio/", "/audio/"], images: ["/v1/images/", "/images/"] } as const;

/**
 * Rules of a frontend that answer 413 to a body above the limit of its route: at once where its length is announced, and by
 * assets/haproxy/body.lua as soon as more has come where it is not. `txn.path` has to be set.
 *
 * @param limits of the kinds of routes, or one for all
 */
export function bodyRules(limits: BodyLimits | number): string[] {
  const chat = typeof limits === "number" ? limits : limits.chat;
  const kinds =
    typeof limits === "number"
      ? []
      : [
          `${set(limits.embeddings)} if { var(txn.path) -m str ${TEXT_PATHS.join(" ")} }`,
          ...(["audio", "images"] as const).flatMap((kind) => {
            const bytes = limits[kind];
            return bytes === undefined
              ? []
              : [`${set(bytes)} if { var(txn.path) -m beg ${MORE_PATHS[kind].join(" ")} }`];
          }),
        ];
  return [
    "filter lua.body",
    set(chat),
    ...kinds,
    "# Not the header field: HAProxy reads numbers in it modulo 2^32.",
    `http-request return ${jsonErrorWith(413, "request_too_large", TOO_LARGE)} if { req.body_size,sub(txn.body_limit) gt 0 }`,
  ];
}

/** body.lua says the same. */
const TOO_LARGE = "The request's body is above the limit of %[var(txn.body_limit)] bytes for this route.";

function set(bytes: number): string {
  return `http-request set-var(txn.body_limit) int(${bytes})`;
}
