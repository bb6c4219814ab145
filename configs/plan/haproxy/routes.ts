import { jsonError } from "./answers";

/** Routes that clients may use. What ends in `/` allows everything below it. */
const CLIENT_ROUTES = [
  "/v1/chat/completions",
  "/chat/completions",
  "/v1/completions",
  "/completions",
  "/v1/embeddings",
  "/embeddings",
  "/v1/messages",
  "/v1/messages/count_tokens",
  "/v1/models",
  "/models",
  "/v1/models/",
  "/models/",
  "/v1/responses",
  "/responses",
  "/v1/responses/",
  "/responses/",
  "/v1/rerank",
  "/rerank",
  "/health/liveliness",
  "/health/readiness",
];

/** Opened only where a model is declared for them. */
const AUDIO_ROUTES = ["/v1/audio/", "/audio/"];

/** Fields by which a client would choose what LiteLLM sends to the target of a route that passes through. */
const OWN_ROUTE_RULES = ["x-pass-", "x-litellm-", "x-mcp-"].map(
  (family) => `http-request del-header ${family} -m beg`,
);

/** Routes of model APIs, with and without `/v1`, that gpubox opens for no model: what stays closed of them is no admin route. */
const OTHER_INFERENCE = [
  ...[
    "audio",
    "images",
    "videos",
    "moderations",
    "realtime",
    "batches",
    "files",
    "fine_tuning",
    "assistants",
  ],
  ...["threads", "vector_stores", "ocr", "search", "containers", "engines", "rag"],
];

const NOT_SERVED =
  "No model here answers this route. Open are chat/completions, completions, messages, responses, embeddings, rerank and models.";

/** Routes of a listener beside {@link CLIENT_ROUTES}. */
export interface MoreRoutes {
  /** True where a model transcribes or speaks. Default: false. */
  audio?: boolean;
  /** The stack's own; what ends in `/` opens everything below it. Default: none. */
  own?: string[];
}

/**
 * Rules of a clients' listener that close every route but those. `txn.path` has to be set.
 *
 * @param message what a closed route is answered
 */
export function routeRules(message: string, { audio = false, own = [] }: MoreRoutes = {}): string[] {
  const closed = jsonError(404, "not_found", message);
  const roots = OTHER_INFERENCE.flatMap((root) => [`/${root}`, `/v1/${root}`]);
  return [
    ...[...CLIENT_ROUTES, ...(audio ? AUDIO_ROUTES : []), ...own].map(
      (route) => `acl client_route var(txn.path) -m ${route.endsWith("/") ? "beg" : "str"} ${route}`,
    ),
    ...(own.length > 0 ? OWN_ROUTE_RULES : []),
    `http-request return ${jsonError(404, "not_found", NOT_SERVED)} if !client_route { var(txn.path),concat(/) -m beg ${roots.map((root) => `${root}/`).join(" ")} }`,
    `http-request return ${closed} if !client_route`,
    "# Below them are also Google's routes that generate.",
    `http-request return ${closed} if { var(txn.path) -m beg /models/ /v1/models/ } !METH_GET !METH_OPTIONS`,
  ];
}
