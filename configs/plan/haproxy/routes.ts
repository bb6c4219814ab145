import {
  CLOSED_ROUTES,
  type ClientRoute,
  OPEN_ROUTES,
  type OpenRoute,
  routesFor,
  spellings,
} from "../../network/clientRoutes";
import type { Mode } from "../../schema/model";
import { jsonError } from "./answers";

/** Open beside the routes of models. What ends in `/` allows everything below it. */
const LISTS = ["/v1/models", "/models", "/v1/models/", "/models/", "/health/liveliness", "/health/readiness"];

/** Fields by which a client would choose what LiteLLM sends to the target of a route that passes through. */
const OWN_ROUTE_RULES = ["x-pass-", "x-litellm-", "x-mcp-"].map(
  (family) => `http-request del-header ${family} -m beg`,
);

/** Beginnings of what else LiteLLM counts to a model's API, with and without `/v1`. */
const OTHERS = [
  ...[
    "vector_store",
    "utils",
    "decisions",
    "systemone",
    "interactions",
    "v1beta",
    "v2/rerank",
    "mcp",
    "a2a",
    "claude_code_gateway",
    "claude-code",
  ],
].flatMap((root) => [root, `v1/${root}`]);

/** Beginnings of routes by which LiteLLM passes a provider's own protocol on, which would need that provider's key. */
const PROVIDERS = [
  ...[
    "anthropic",
    "assemblyai",
    "azure",
    "azure_ai",
    "azure_speech",
    "bedrock",
    "bespoke",
    "cohere",
    "cursor",
  ],
  ...["comprehendmedical", "deepgram", "eu.assemblyai", "fal_ai", "gemini", "gigachat", "langfuse", "laya"],
  ...[
    "milvus",
    "mistral",
    "nvidia_nim",
    "openai",
    "openai_passthrough",
    "openrouter",
    "tinyfish",
    "transcribe",
  ],
  ...["typesafe", "vertex-ai", "vertex_ai", "vllm", "watsonx"],
];

/** What a listener opens beside the routes that every box has. */
export interface MoreRoutes {
  /** Modes of its models, which open routes of theirs. Default: none that does. */
  modes?: readonly Mode[];
  /** The stack's own; what ends in `/` opens everything below it. Default: none. */
  own?: string[];
}

/**
 * Rules of a clients' listener that close every route but those. A route of a model API says why it is closed, and is no admin
 * route. `txn.path` has to be set.
 *
 * @param message what every other closed route is answered
 */
export function routeRules(message: string, { modes = [], own = [] }: MoreRoutes = {}): string[] {
  const closed = jsonError(404, "not_found", message);
  const notServed = jsonError(404, "not_found", "No model here answers this route.");
  const { open, waiting } = routesFor(modes);
  const routes = [...open.flatMap(spelled), ...LISTS, ...own];
  return [
    ...routes.map(
      (route) => `acl client_route var(txn.path) -m ${route.endsWith("/") ? "beg" : "str"} ${route}`,
    ),
    ...(own.length > 0 ? OWN_ROUTE_RULES : []),
    ...waiting.map((route) =>
      refusal(
        `No model here answers this route: none has mode: ${modesOf(route).join(" or ")}.`,
        spelled(route),
      ),
    ),
    ...CLOSED_ROUTES.map(({ roots, why, instead }) =>
      refusal(
        `This route is closed. ${why} ${instead}`,
        roots.flatMap((root) => spellings(`/v1/${root}`)),
      ),
    ),
    // The last one is a base URL with a second `/v1`.
    ...[...OTHERS, ...PROVIDERS, "v1/v1"].map(
      (root) => `acl other_inference var(txn.path),concat(/) -m beg /${root}/`,
    ),
    `http-request return ${notServed} if !client_route other_inference`,
    `http-request return ${closed} if !client_route`,
    "# Below them are also Google's routes that generate.",
    `http-request return ${notServed} if { var(txn.path) -m beg /models/ /v1/models/ } !METH_GET !METH_OPTIONS`,
  ];
}

function spelled(route: ClientRoute): string[] {
  return spellings(route, OPEN_ROUTES[route]);
}

function modesOf(route: ClientRoute): readonly Mode[] {
  return (OPEN_ROUTES[route] as OpenRoute).modes ?? [];
}

/** Answers paths, and everything below them, unless they are open. */
function refusal(message: string, paths: string[]): string {
  const below = paths.map((path) => `${path}/`).join(" ");
  return `http-request return ${jsonError(404, "not_found", message)} if !client_route { var(txn.path),concat(/) -m beg ${below} }`;
}
