import { type Fields, RawH2 } from "../../support/rawHttp2";
import { complaints, each, notRefused } from "./answers";
import { type AttackBox, type Name, testOn } from "./lab";
import { REACHED } from "./pathTricks";

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
