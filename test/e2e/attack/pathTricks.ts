/** Marks an answer of the admin route that every trick aims at. */
export const REACHED = /"model_info"/;

/** Ways to write `/model/info` that somebody on the way might take for another path. */
export function pathTricks(allowed: string, host: string): string[] {
  const up = allowed.split("/").slice(1);
  const climb = (step: string, slash = "/") =>
    `${allowed}${slash}${Array(up.length).fill(step).join(slash)}${slash}`;
  return [
    ...[
      "/model/info",
      "//model/info",
      "///model//info",
      "/./model/info",
      "/model/./info",
      "/x/../model/info",
    ],
    ...[
      "/model/info/",
      "/model/info;x",
      "/model;x/info",
      "/model/info%00",
      "/model/info%20",
      "/model/info%09",
    ],
    ...["/model/info#", "/model/info%23", "/model/info?x=1", "/MODEL/INFO", "/Model/Info", "/model%2finfo"],
    ...[
      "/model%252finfo",
      "/%6dodel/info",
      "/%256dodel/info",
      "/model\\info",
      "\\model\\info",
      "/\\model/info",
    ],
    ...["/v1/model/info", "/v1/../model/info", "/v1//model/info", "/v1/./model/info", "/.../model/info"],
    ...[`${climb("..")}model/info`, `/${climb("..")}model/info`, `${climb("%2e%2e")}model/info`],
    ...[
      `${climb("..", "%2f")}model%2finfo`,
      `${climb("%2e%2e", "%2f")}model/info`,
      `${climb("..", "%2F")}model/info`,
    ],
    ...[`${climb("%252e%252e")}model/info`, `${climb("..", "%252f")}model/info`, `${climb("..;")}model/info`],
    ...[
      `${climb("..;x=1")}model/info`,
      `${climb("..", "\\")}model\\info`,
      `${climb("..", "%5c")}model%5cinfo`,
    ],
    ...[`${climb(".%2e")}model/info`, `${climb("%2e.")}model/info`, `${climb("..%00")}model/info`],
    ...[
      `${climb("..%0d%0a")}model/info`,
      `${climb("%c0%ae%c0%ae")}model/info`,
      `${climb("..", "%c0%af")}model/info`,
    ],
    ...[`${climb("%uff0e%uff0e")}model/info`, `${climb("..%20")}model/info`, `${climb("..%09")}model/info`],
    ...[`${allowed}%00/../../model/info`, `${allowed}#/../../model/info`, `${allowed};/../../model/info`],
    ...[`http://${host}/model/info`, `http://${host}//model/info`, `http://${host}${climb("..")}model/info`],
    ...[
      `https://${host}/model/info`,
      `http://evil.test/model/info`,
      `//${host}/model/info`,
      `http:/model/info`,
    ],
    ...["model/info", "?/model/info", "*", "/v1/models:x/../../model/info", ""],
  ];
}

/** Routes that the port for clients has no business with. */
export const CLOSED = [
  ...[
    "/metrics",
    "/ui",
    "/ui/",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/config/yaml",
    "/config/update",
    "/key/list",
  ],
  ...[
    "/sso/key/generate",
    "/user/list",
    "/team/list",
    "/cache/ping",
    "/cache/flushall",
    "/health",
    "/health/drain",
  ],
  ...["/active/callbacks", "/debug/asyncio-tasks", "/memory-usage", "/mcp", "/mcp/", "/mcp-rest/tools/list"],
  ...[
    "/v1/realtime?model=far",
    "/realtime?model=far",
    "/openai/v1/models",
    "/vertex_ai/x",
    "/anthropic/v1/messages",
  ],
  ...[
    "/v1/files",
    "/v1/batches",
    "/v1/fine_tuning/jobs",
    "/v1/assistants",
    "/v1/threads",
    "/v1/vector_stores",
  ],
  ...[
    "/utils/token_counter",
    "/utils/transform_request",
    "/credentials",
    "/prompts/test",
    "/guardrails/list",
  ],
  ...[
    "/langfuse/api/public/health",
    "/bedrock/x",
    "/azure/x",
    "/cursor/x",
    "/fallback/login",
    "/routes",
    "/",
  ],
];
