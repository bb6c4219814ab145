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

/**
 * Rules of a clients' listener that close every route but those. `txn.path` has to be set.
 *
 * @param message what a closed route is answered
 * @param audio true where a model transcribes or speaks
 */
export function routeRules(message: string, audio = false): string[] {
  const closed = jsonError(404, "not_found", message);
  return [
    ...[...CLIENT_ROUTES, ...(audio ? AUDIO_ROUTES : [])].map(
      (route) => `acl client_route var(txn.path) -m ${route.endsWith("/") ? "beg" : "str"} ${route}`,
    ),
    `http-request return ${closed} if !client_route`,
    "# Below them are also Google's routes that generate.",
    `http-request return ${closed} if { var(txn.path) -m beg /models/ /v1/models/ } !METH_GET !METH_OPTIONS`,
  ];
}
