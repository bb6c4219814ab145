import { exchange } from "../../support/rawHttp";
import { type Fields, RawH2 } from "../../support/rawHttp2";
import { complaints, each, notRefused } from "./answers";
import { type AttackBox, type Listener, type Name, testOn } from "./lab";
import { CANARY } from "./servers";

const MODELS = [`oobabooga/http://${CANARY}:8000`, "baseten/abcd1234", "openai/gpt-5", "far"];
const WEBSOCKET = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/** Ways to leave HTTP: behind a 101 nobody looks at models, limits and routes any more. */
export function socketAttacks(box: () => AttackBox, on: Name[]): void {
  testOn(on, on, "no connection becomes a WebSocket", async (name) => {
    const to = box().listener(name);
    const found = await each(upgrades(to), async ([what, head]): Promise<[string, string | undefined]> => {
      // Where the upgrade is granted, what an attacker would send next: a model that is an address.
      const { answers, text } = await exchange(to, [head, ...frames()], { limitMs: 5_000 });
      if (text.includes(" 101 ")) return [what, `became a socket: ${text.slice(0, 160)}`];
      return [what, answers[0] ? notRefused(answers[0]) : "no answer"];
    });
    expect(complaints(found)).toEqual([]);
  });

  testOn(on, on, "no connection becomes another protocol in the middle", async (name) => {
    const to = box().listener(name);
    const settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";
    const found = await each(
      ["h2c", "h2", "TLS/1.0", "HTTP/2.0", "h2c, websocket", "spdy/3"],
      async (protocol): Promise<[string, string | undefined]> => {
        const fields = [`Connection: Upgrade, HTTP2-Settings, close`, `Upgrade: ${protocol}`, settings];
        const { text } = await exchange(to, requestOf(to, "/v1/models", fields), { limitMs: 5_000 });
        return [protocol, text.includes(" 101 ") ? text.slice(0, 160) : undefined];
      },
    );
    expect(complaints(found)).toEqual([]);
  });

  testOn(on, on, "no stream of HTTP/2 becomes a WebSocket", async (name) => {
    const to = box().listener(name);
    const wire = to.tls ? { ...to, tls: { ...to.tls, alpn: "h2" as const } } : to;
    const paths = [
      "/v1/responses?model=far",
      "/v1/realtime?model=far",
      "/responses?model=far",
      "/v1/chat/completions",
    ];
    const found = await each(paths, async (path): Promise<[string, string | undefined]> => {
      const client = await RawH2.open(wire);
      const fields: Fields = [
        ...([
          [":method", "CONNECT"],
          [":protocol", "websocket"],
          [":scheme", to.tls ? "https" : "http"],
        ] as Fields),
        ...([
          [":path", path],
          [":authority", to.host],
          ["authorization", `Bearer ${to.key}`],
        ] as Fields),
        ["sec-websocket-version", "13"],
      ];
      const { status, body } = await client.request(fields, frames().join(""), { limitMs: 5_000 });
      client.close();
      return [path, status === 0 || status >= 400 ? undefined : `${status} ${body.slice(0, 160)}`];
    });
    expect(complaints(found)).toEqual([]);
  });
}

function upgrades(to: Listener): [string, string][] {
  const routes = [
    ...["/v1/responses?model=far", "/responses?model=far", "/v1/responses", "/v1/realtime?model=far"],
    ...["/realtime?model=far", "/openai/v1/realtime?model=far", "/vertex_ai/live", "/v1/chat/completions"],
    ...["/v1/models", "/v1/responses?model=far&intent=x", "/v1/responses/x"],
  ];
  const ways: [string, string[]][] = [
    ["lower case", WEBSOCKET.map((line) => line.toLowerCase())],
    ["upper case", WEBSOCKET.map((line) => line.replace("Upgrade: websocket", "UPGRADE: WEBSOCKET"))],
    ["among others", ["Connection: keep-alive, Upgrade", "Upgrade: h2c, websocket", ...WEBSOCKET.slice(2)]],
    ["twice", ["Upgrade: h2c", ...WEBSOCKET]],
    ["with a version", WEBSOCKET.map((line) => line.replace("websocket", "websocket/13"))],
    ["in two fields", ["Connection: keep-alive", ...WEBSOCKET]],
    ["with a tab", WEBSOCKET.map((line) => line.replace(": ", ":\t"))],
    [
      "of Firefox",
      [...WEBSOCKET, "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: realtime"],
    ],
    ["with a body", [...WEBSOCKET, "Content-Length: 0"]],
  ];
  return [
    ...routes.map((route): [string, string] => [route, requestOf(to, route, WEBSOCKET)]),
    ...ways.map(([what, fields]): [string, string] => [what, requestOf(to, routes[0]!, fields)]),
    ["by POST", requestOf(to, routes[0]!, WEBSOCKET).replace("GET", "POST")],
    [
      "with the key as a protocol",
      requestOf(to, routes[0]!, [...WEBSOCKET, `Sec-WebSocket-Protocol: openai-insecure-api-key.${to.key}`]),
    ],
  ];
}

function requestOf(to: Listener, path: string, fields: string[]): string {
  const own = [`GET ${path} HTTP/1.1`, `Host: ${to.host}`, `Authorization: Bearer ${to.key}`];
  return `${[...own, ...fields].join("\r\n")}\r\n\r\n`;
}

/** Text frames of WebSocket, masked with zeros, which leaves the text as it is. */
function frames(): string[] {
  return MODELS.map((model) => {
    const text = JSON.stringify({ type: "response.create", model, input: "x", response: { model } });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(text.length);
    return `\x81\xfe${length.toString("latin1")}\0\0\0\0${text}`;
  });
}
