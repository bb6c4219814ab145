import { exchange } from "../../support/rawHttp";
import { chat, complaints, each, notAnswered } from "./answers";
import { type AttackBox, type Listener, type Name, testOn } from "./lab";

/** What must never reach a model server. */
const MARK = "SMUGGLED";
const HIDDEN = new RegExp(`^\\s*\\{.*"content": ?"${MARK}"`);

/** Requests in a request: what one server takes for a body, the next one might take for a request of its own. */
export function smugglingAttacks(box: () => AttackBox, on: Name[]): void {
  testOn(on, on, "no request hides in another one", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const found = await each(smugglings(to), async ([what, bytes]): Promise<[string, string | undefined]> => {
      const { answers, closed, text } = await exchange(to, bytes, { end: true });
      if (!closed) return [what, `the connection stayed open: ${text.slice(0, 160)}`];
      // The client has closed its side, so the edge may end an answer between its head and its body.
      const whole = answers.filter(
        ({ headers, body }) => body.length >= Number(headers["content-length"] ?? 0),
      );
      return [what, whole.map(notAnswered).find((why) => why !== undefined)];
    });
    expect(complaints(found)).toEqual([]);
    const { requests } = await box().kept("upstream");
    // As a body it is only text that nobody can read.
    const arrived = requests.filter(({ path, body }) => path.startsWith("/v2/") || HIDDEN.test(body));
    expect(arrived).toEqual([]);
  });

  testOn(on, on, "requests in a row get their answers in that order", async (name) => {
    const to = box().listener(name);
    const head = `Host: ${to.host}\r\nAuthorization: Bearer ${to.key}\r\n`;
    const ask = (path: string, more = "") => `GET ${path} HTTP/1.1\r\n${head}${more}\r\n`;
    const paths = ["/v1/models", "/v1/no-such-route", "/v1/models"];
    const bytes = [...paths.map((path) => ask(path)), ask("/v1/models", "Connection: close\r\n")].join("");
    const { answers } = await exchange(to, bytes);
    // A server may close instead of answering the next one, and may not answer it out of turn.
    const statuses = answers.map(({ status }) => status);
    const inTurn = [200, name === "direct" ? 200 : 404, 200, 200];
    expect(statuses).toEqual(inTurn.slice(0, statuses.length));
    expect(statuses.length).toBeGreaterThan(0);
  });
}

/** Every way to say two things about where a request ends, and every byte that is no part of one. */
export function smugglings(to: Listener): [string, string][] {
  const hidden = hiddenRequest(to);
  const key = `Authorization: Bearer ${to.key}`;
  const own = `Host: ${to.host}\r\n${key}`;
  const post = (fields: string[], body: string, first = "POST /v1/chat/completions HTTP/1.1") =>
    `${[first, own, "Content-Type: application/json", ...fields].join("\r\n")}\r\n\r\n${body}`;
  const json = JSON.stringify(chat(to.model, "the outer request"));
  const size = json.length.toString(16);
  const whole = json.length + hidden.length;
  // The outer body ends here by its chunks, and after the hidden request by its length; and the other way round.
  const byChunks = `${size}\r\n${json}\r\n0\r\n\r\n${hidden}`;
  const inChunk = `${(hidden.length + 2).toString(16)}\r\n\r\n${hidden}\r\n0\r\n\r\n`;
  const both = (te: string): [string, string][] => [
    [`CL and ${JSON.stringify(te)}`, post([`Content-Length: ${byChunks.length}`, te], byChunks)],
    [`${JSON.stringify(te)} and a short CL`, post([te, "Content-Length: 4"], inChunk)],
  ];
  const lengths = (fields: string[]): [string, string] => [`lengths ${fields}`, post(fields, json + hidden)];
  const chunks = (what: string, body: string): [string, string] => [
    `chunk ${what}`,
    post(["Transfer-Encoding: chunked"], body),
  ];
  const field = (line: string): [string, string] => [
    `field ${JSON.stringify(line)}`,
    post([line, `Content-Length: ${json.length}`, "Connection: close"], json),
  ];
  const n = json.length;
  return [
    ...[
      ...["Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked"],
      ...[
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
      ],
      ...['Transfer-Encoding: "chunked"', "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chunked\x00"],
      ...["Transfer-Encoding: Chunked", "Transfer_Encoding: chunked", "X: y\nTransfer-Encoding: chunked"],
      ...[
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        " Transfer-Encoding: chunked",
      ],
      ...["Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"],
      ...["Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer\x00-Encoding: chunked"],
      ...["Transfer-Encoding: chunked;x=y", "Transfer-Encoding:", "Transfer-Encoding: ,chunked"],
      ...[
        "X: y\r\n\tTransfer-Encoding: chunked",
        "\x00Transfer-Encoding: chunked",
        "Transfer-Encoding\r\n: chunked",
      ],
    ].flatMap(both),
    ...[
      [`Content-Length: ${n}`, `Content-Length: ${whole}`],
      [`Content-Length: ${whole}`, `Content-Length: ${n}`],
      [`Content-Length: ${n}, ${whole}`],
      [`Content-Length: +${n}`],
      [`Content-Length: -${n}`],
      [`Content-Length: 0x${n.toString(16)}`],
      [`Content-Length: ${n}.0`],
      [`Content-Length: ${n} ${whole}`],
      [`Content-Length: ${n}\x00`],
      [`Content-Length : ${n}`],
      [`Content_Length: ${n}`],
      ["Content-Length: 18446744073709551617"],
      [`Content-Length:\r\n ${n}`],
      ["Content-Length: "],
    ].map(lengths),
    chunks("size 0x", `0x${size}\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("size +", `+${size}\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("size with a space", ` ${size}\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("size too large", `FFFFFFFFFFFFFFFFF\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("size that wraps", `10000000000000000${size}\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("with a bare CR", `${size}\r${json}\r\n0\r\n\r\n${hidden}`),
    chunks("with a bare LF", `${size}\n${json}\n0\n\n${hidden}`),
    chunks("extension with LF", `${size};x\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("extension with a request", `${size};x="\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("without an end", `${size}\r\n${json}XX0\r\n\r\n${hidden}`),
    chunks("with an empty size", `\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks("negative", `-1\r\n${json}\r\n0\r\n\r\n${hidden}`),
    chunks(
      "trailer that is a length",
      `${size}\r\n${json}\r\n0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    ),
    ["TE in HTTP/1.0", post(["Transfer-Encoding: chunked"], byChunks, "POST /v1/chat/completions HTTP/1.0")],
    ["a GET with a body", post([`Content-Length: ${hidden.length}`], hidden, "GET /v1/models HTTP/1.1")],
    ["a length beyond what is sent", post([`Content-Length: ${n + 10}`], json)],
    [
      "an expectation",
      post(["Expect: 100-continue", "Expect: x", `Content-Length: ${n}`, "Connection: close"], json),
    ],
    ["HTTP/0.9", `GET /v1/models\r\n\r\n${hidden}`],
    ["HTTP/2.0 in a line", post([`Content-Length: ${n}`], json, "POST /v1/chat/completions HTTP/2.0")],
    [
      "HTTP/1.9",
      post([`Content-Length: ${n}`, "Connection: close"], json, "POST /v1/chat/completions HTTP/1.9"),
    ],
    ["lower case http", post([`Content-Length: ${n}`], json, "POST /v1/chat/completions http/1.1")],
    ["two spaces", post([`Content-Length: ${n}`], json, "POST  /v1/chat/completions  HTTP/1.1")],
    ["a tab", post([`Content-Length: ${n}`], json, "POST\t/v1/chat/completions\tHTTP/1.1")],
    ["a CR in the line", post([`Content-Length: ${n}`], json, "POST /v1/chat/completions\rX HTTP/1.1")],
    ["a NUL in the line", post([`Content-Length: ${n}`], json, "POST /v1/chat/completions\x00 HTTP/1.1")],
    ["no line at all", `\r\n\r\n\r\n${hidden}`],
    ["bare LF only", post([`Content-Length: ${n}`, "Connection: close"], json).replaceAll("\r\n", "\n")],
    ...[
      ...[
        "X: a\x00b",
        "X\x00: a",
        "X: a\rb",
        "X: a\nY: b",
        "X : a",
        "X y: a",
        ": a",
        "X",
        "X\t: a",
        "\x7f: a",
        "(X): a",
      ],
      ...[
        ` ${key}`,
        "Host: evil.test",
        `Host: ${to.host}`,
        `${key}x`,
        "Authorization: Bearer wrong",
        "X: a\r\n folded",
      ],
      ...[
        `Connection: close, authorization, host`,
        "Connection: transfer-encoding",
        `X: ${"y".repeat(70_000)}`,
      ],
    ].map(field),
  ];
}

/** Refused by whoever sees it: by its host at an edge, by its path at a valve, by its missing key at a job. */
function hiddenRequest(to: Listener): string {
  const body = JSON.stringify(chat(to.model, MARK));
  const path = to.name === "direct" ? "/v2/chat/completions" : "/v1/chat/completions";
  const fields = [
    `POST ${path} HTTP/1.1`,
    "Host: evil.test",
    ...(to.name === "job" ? [] : [`Authorization: Bearer ${to.key}`]),
    ...["Content-Type: application/json", "Connection: close", `Content-Length: ${body.length}`],
  ];
  return `${fields.join("\r\n")}\r\n\r\n${body}`;
}
