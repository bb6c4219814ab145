import { posix } from "node:path";
import { type Fields, RawH2 } from "../../support/rawHttp2";
import {
  type AttackBox,
  chat,
  complaints,
  each,
  JSON_TYPE,
  type Listener,
  type Name,
  notRefused,
  testOn,
} from "./lab";

/** Marks an answer of the admin route that every trick aims at. */
const REACHED = /"model_info"/;

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
const CLOSED = [
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

/** The edge's allowlist against whoever has a key of the port. */
export function pathAttacks(box: () => AttackBox, on: Name[]): void {
  const get = async (to: Listener, path: string, headers: string[] = []) => {
    const answer = await box().ask(to, { path, headers });
    return REACHED.test(answer.body) ? `the admin route answered ${path}` : notRefused(answer);
  };

  testOn(
    on,
    ["clients", "clients with TLS", "job"],
    "no way to write a path leads to an admin route",
    async (name) => {
      const to = box().listener(name);
      const paths = ["/v1/models", "/v1/responses", "/health/liveliness"].flatMap((allowed) =>
        pathTricks(allowed, to.host),
      );
      const all = [...new Set([...paths, ...CLOSED])];
      expect(all.length).toBeGreaterThan(50);
      const found = await each(
        all,
        async (path): Promise<[string, string | undefined]> => [path, await get(to, path)],
      );
      expect(complaints(found)).toEqual([]);
    },
  );

  testOn(
    on,
    ["admin", "admin with TLS"],
    "without its key no path is answered, and with it none drains a gateway",
    async (name) => {
      const to = box().listener(name);
      const keyless = pathTricks("/v1/models", to.host).map((path) => ({
        path,
        bare: true,
        headers: [`Host: ${to.host}`],
      }));
      const drains = pathTricks("/v1/models", to.host).map((path) => ({
        path: path.replaceAll("model", "health").replaceAll("info", "drain"),
        headers: [`X-Drain-Token: ${to.key}`],
      }));
      const found = await each(
        [...keyless, ...drains],
        async (attempt): Promise<[string, string | undefined]> => {
          const answer = await box().ask(to, attempt);
          // The list of models' own page, and the UI's, are no secrets.
          return [
            attempt.path,
            REACHED.test(answer.body) || /drain(ing|ed)/.test(answer.body) ? answer.body : undefined,
          ];
        },
      );
      expect(complaints(found)).toEqual([]);
    },
  );

  testOn(on, ["direct"], "nothing outside /v1/ reaches the backend", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const paths = [
      ...pathTricks("/v1/models", to.host),
      "/slots",
      "/props",
      "/metrics",
      "/health",
      "/v1",
      "/lora-adapters",
    ];
    const found = await each(paths, async (path): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, { path: path.replaceAll("model/info", "slots/0"), headers: [] });
      return [path, answer.status === 200 ? undefined : notRefused(answer)];
    });
    expect(complaints(found)).toEqual([]);
    const { requests } = await box().kept("upstream");
    const outside = requests.filter(({ path }) => !posix.normalize(decoded(path)).startsWith("/v1/"));
    expect(outside.map(({ path }) => path)).toEqual([]);
  });

  testOn(on, on, "no other method and no field of a proxy's leads elsewhere", async (name) => {
    const to = box().listener(name);
    const refused = [
      { method: "CONNECT", path: "canary.test:80" },
      { method: "CONNECT", path: "/v1/models" },
      { method: "TRACE", path: "/v1/models" },
      { method: "TRACK", path: "/v1/models" },
      { method: "PRI", path: "*" },
      { method: "get", path: "/v1/models" },
      { method: "GET", path: "http://canary.test:80/v1/other" },
    ];
    const found = await each(refused, async (attempt): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, attempt);
      const what = `${attempt.method} ${attempt.path}`;
      // A backend may answer any method on its own routes, but never with what it was asked.
      if (name === "direct" && answer.status === 200)
        return [what, /authorization/i.test(answer.body) ? answer.body : undefined];
      return [what, notRefused(answer)];
    });
    const fields = [
      "X-Original-URL",
      "X-Rewrite-URL",
      "X-Original-Host",
      "X-Forwarded-Prefix",
      "X-HTTP-Method-Override",
    ];
    const misled = await each(fields, async (field): Promise<[string, string | undefined]> => {
      const { body } = await box().ask(to, { path: "/v1/models", headers: [`${field}: /model/info`] });
      return [field, REACHED.test(body) ? body : undefined];
    });
    expect(complaints([...found, ...misled])).toEqual([]);
  });

  testOn(on, on, "a key in the query, or beside it, opens nothing", async (name) => {
    const to = box().listener(name);
    const host = `Host: ${to.host}`;
    const attempts = [
      ...["key", "api_key", "api-key", "token", "access_token", "x-api-key", "authorization"].map(
        (field) => ({
          ...{ path: `/v1/models?${field}=${to.key}`, bare: true, headers: [host] },
        }),
      ),
      { path: "/v1/models", bare: true, headers: [host] },
      { path: "/v1/models", bare: true, headers: [host, `Cookie: token=${to.key}`] },
      { path: "/v1/models", bare: true, headers: [host, `Authorization: Basic ${btoa(`user:${to.key}`)}`] },
      { path: "/v1/models", bare: true, headers: [host, "Authorization: Bearer "] },
      { path: "/v1/models", bare: true, headers: [host, "Authorization: Bearer sk-wrong-0123456789abcdef"] },
      { path: "/v1/models", bare: true, headers: [host, "x-api-key: sk-wrong-0123456789abcdef"] },
      { path: "/v1/models", bare: true, headers: [host, "x-api-key:"] },
    ];
    const found = await each(attempts, async (attempt): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, attempt);
      const why =
        // LiteLLM itself judges a request without any key there.
        answer.status === 401 || name.startsWith("admin")
          ? notRefused(answer)
          : `${answer.status} ${answer.body.slice(0, 160)}`;
      return [`${attempt.path} ${attempt.headers.slice(1)}`, why];
    });
    expect(complaints(found)).toEqual([]);
  });

  testOn(on, ["clients", "job"], "a bad Authorization beside a good x-api-key is no 400", async (name) => {
    const to = box().listener(name);
    const headers = [`Host: ${to.host}`, "Authorization: Bearer wrong", `x-api-key: ${to.key}`, JSON_TYPE];
    const attempt = { method: "POST", path: "/v1/chat/completions", bare: true, headers };
    const { status } = await box().ask(to, {
      ...attempt,
      body: JSON.stringify(chat(to.model, "two keys")),
    });
    expect([200, 401]).toContain(status);
  });

  testOn(
    on,
    ["clients", "admin", "clients with TLS", "admin with TLS"],
    "a host that is not listed is turned away, in whatever form it comes",
    async (name) => {
      const to = box().listener(name);
      const bearer = `Authorization: Bearer ${to.key}`;
      const attempts = [
        ...[
          "evil.test",
          `${to.host}.evil.test`,
          `evil.test:${to.port}`,
          `${to.host}@evil.test`,
          "",
          "[::2]",
          "evil.test/x",
        ].map((host) => ({ path: "/v1/models", headers: [`Host: ${host}`] })),
        { path: "/v1/models", headers: [] },
        { path: "http://evil.test/v1/models", headers: [`Host: ${to.host}`] },
        { path: "/v1/models", headers: ["X-Forwarded-Host: 127.0.0.1", "Host: evil.test"] },
      ];
      const found = await each(
        attempts,
        async ({ path, headers }): Promise<[string, string | undefined]> => [
          `${path} ${headers}`,
          notRefused(await box().ask(to, { path, bare: true, headers: [...headers, bearer] })),
        ],
      );
      expect(complaints(found)).toEqual([]);
    },
  );
}

/** Tricks that only frames of HTTP/2 can play. */
export function pseudoHeaderAttacks(box: () => AttackBox, on: Name[]): void {
  testOn(
    on,
    ["clients", "admin", "clients with TLS", "admin with TLS", "direct", "job"],
    "pseudo header fields of HTTP/2 lead to no admin route and to no request in a request",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      const key: [string, string] = ["authorization", `Bearer ${to.key}`];
      const smuggled = `POST /v1/chat/completions HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Bearer ${to.key}\r\n\r\n`;
      const wire = to.tls ? { ...to, tls: { ...to.tls, alpn: "h2" as const } } : to;
      const found = await each(
        pseudoTricks(to.host, smuggled),
        async ([what, fields]): Promise<[string, string | undefined]> => {
          const client = await RawH2.open(wire);
          try {
            // The admin's own key would open the route: there only what is no request counts.
            const answer = await client.request(name.startsWith("admin") ? fields : [...fields, key]);
            if (REACHED.test(answer.body)) return [what, "the admin route answered"];
            if (answer.status === 0 || answer.status === 200) return [what, undefined];
            return [what, notRefused({ ...answer, headers: {} })];
          } finally {
            client.close();
          }
        },
      );
      expect(complaints(found)).toEqual([]);
      const { requests } = await box().kept("upstream");
      expect(requests.filter(({ path }) => !path.startsWith("/v1/models"))).toEqual([]);
    },
  );
}

function pseudoTricks(host: string, smuggled: string): [string, Fields][] {
  const base = (path: string, more: Fields = []): Fields => [
    ...([
      [":method", "GET"],
      [":scheme", "http"],
      [":path", path],
      [":authority", host],
    ] as Fields),
    ...more,
  ];
  const paths = [
    ...[
      "/model/info",
      "model/info",
      "//model/info",
      "/v1/models/../../model/info",
      "http://x/model/info",
      "",
    ],
    ...[
      " /model/info",
      "*",
      "/v1/models\0/model/info",
      "/v1/models HTTP/1.1",
      `/v1/models HTTP/1.1\r\nX: y\r\n\r\n${smuggled}`,
    ],
    ...["/v1/models\r\nX: y", "/v1/models\tx", "/v1/models?\r\n\r\n", "/v1/models%0d%0a%0d%0a"],
  ];
  return [
    ...paths.map((path): [string, Fields] => [`:path ${JSON.stringify(path)}`, base(path)]),
    [":path twice", [...base("/v1/models"), [":path", "/model/info"]]],
    [
      ":path after a field",
      [
        [":method", "GET"],
        [":scheme", "http"],
        ["x", "y"],
        [":path", "/model/info"],
        [":authority", host],
      ],
    ],
    [":authority and host differ", base("/model/info", [["host", "evil.test"]])],
    [
      ":authority is foreign",
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/model/info"],
        [":authority", "evil.test"],
      ],
    ],
    [
      "no :authority",
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/model/info"],
      ],
    ],
    [
      "no :path",
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", host],
      ],
    ],
    [
      ":method with a request",
      [
        [":method", smuggled],
        [":scheme", "http"],
        [":path", "/v1/models"],
        [":authority", host],
      ],
    ],
    [
      ":method CONNECT",
      [
        [":method", "CONNECT"],
        [":authority", "canary.test:80"],
      ],
    ],
    [
      ":scheme with a path",
      [
        [":method", "GET"],
        [":scheme", "https://evil.test/model/info?"],
        [":path", "/model/info"],
        [":authority", host],
      ],
    ],
    ["unknown pseudo field", base("/model/info", [[":foo", "bar"]])],
    ["upper case", base("/v1/models", [["X-Upper", "y"]])],
    ["a field with a request", base("/v1/models", [["x", `y\r\n\r\n${smuggled}`]])],
    ["a name with a request", base("/v1/models", [[`x: y\r\n\r\n${smuggled}`, "y"]])],
    ["a name with a colon", base("/v1/models", [["x:y", "z"]])],
    ["an empty name", base("/v1/models", [["", "z"]])],
    ["connection", base("/v1/models", [["connection", "close, authorization"]])],
    ["transfer-encoding", base("/v1/models", [["transfer-encoding", "chunked"]])],
    ["content-length without a body", base("/v1/models", [["content-length", "5"]])],
    [
      "content-length twice",
      base("/v1/models", [
        ["content-length", "0"],
        ["content-length", "5"],
      ]),
    ],
    [
      "upgrade",
      base("/v1/models", [
        ["upgrade", "h2c"],
        ["http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"],
      ]),
    ],
    ["te", base("/v1/models", [["te", "gzip"]])],
  ];
}

/** As the backend reads it: decoded once. */
function decoded(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (code) => unescape(code)).replaceAll("\\", "/");
}
