import fc from "fast-check";
import { isModern, KEY, LIMIT, type Listener, Listeners, type Runner, runners } from "../support/listeners";
import { missing, orSkip } from "../support/needs";
import { sendRaw, type UndecodedAnswer } from "../support/rawHttp";
import { sendH2 } from "../support/rawHttp2";
import { runs } from "../support/runs";

const found = runners();

const MINUTE = 60_000;
const NAMES: Listener[] = [
  ...(["clients", "clients by TLS", "admin", "admin by TLS", "plain", "metrics", "alive", "valve"] as const),
  ...(["direct", "job"] as const),
];
/** Those that lead on to a gateway or a backend. */
const LEADING = NAMES.filter((name) => !["plain", "metrics", "alive"].includes(name));
const PATH = "/v1/chat/completions";

const want = [...(found.length > 0 ? [] : ["haproxy or the image gpubox/edge"]), ...missing("openssl")];
const describeHaproxy = orSkip(describe, want.join(", ")).each(
  found.length > 0 ? found : ([["no", "machine"]] as typeof found),
);

describeHaproxy("%s HAProxy", (_, runner) => {
  const box = new Listeners(runner as Runner);
  const modern = orSkip(test, isModern(runner as Runner) ? "" : "an HAProxy of version 3 or later");
  const raw = (name: Listener, ...pieces: (string | Buffer)[]) =>
    sendRaw(
      {
        port: box.ports[name],
        ...(name.includes("TLS") ? { tls: { alpn: "http/1.1", servername: "localhost" } } : {}),
      },
      pieces,
    );
  const head = (lines: string[], method = "GET", path = PATH) =>
    `${[`${method} ${path} HTTP/1.1`, "Host: localhost", ...lines].join("\r\n")}\r\n\r\n`;
  const keyed = [`Authorization: Bearer ${KEY}`];
  const errorOf = ({ body }: Pick<UndecodedAnswer, "body">) =>
    JSON.parse(body.replace(/^[0-9a-f]+\r\n/, "").split("\r\n")[0]!);

  beforeAll(() => box.open(), MINUTE);
  afterAll(() => box.close());
  beforeEach(() => {
    box.origin.requests.length = 0;
  });

  test.each(LEADING)(
    "%s: a plain request passes, so that each refusal below has its own reason",
    async (name) => {
      const { status, body } = await raw(name, head([...keyed, "Content-Length: 2"], "POST"), "{}");
      expect([status, body]).toEqual([200, "2"]);
    },
  );

  describe("no connection changes its protocol", () => {
    const SOCKET = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];
    const spellings: [string, string[]][] = [
      ["a WebSocket", ["Connection: Upgrade", "Upgrade: websocket", ...SOCKET]],
      ["in capitals", ["CONNECTION: UPGRADE", "UPGRADE: WEBSOCKET", ...SOCKET]],
      ["among others", ["Connection: keep-alive, Upgrade", "Upgrade: websocket, h2c", ...SOCKET]],
      [
        "in two fields",
        ["Connection: keep-alive", "Connection: x,\tupgrade", "Upgrade: websocket", ...SOCKET],
      ],
      ["h2c", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]],
      ["TLS", ["Connection: Upgrade", "Upgrade: TLS/1.2"]],
      ["Upgrade alone", ["Upgrade: websocket"]],
      ["Connection alone", ["Connection: upgrade"]],
      ["with a body", ["Connection: Upgrade", "Upgrade: foo", "Content-Length: 0"]],
    ];
    test.each(NAMES.flatMap((name) => spellings.map(([how, lines]) => [name, how, lines] as const)))(
      "%s: %s",
      async (name, _how, lines) => {
        for (const path of [PATH, "/v1/responses?model=m", "/v1/realtime"]) {
          const answer = await raw(name, head([...keyed, ...lines], "GET", path));
          expect([answer.status, errorOf(answer).error.type]).toEqual([400, "invalid_request"]);
        }
        expect(box.origin.requests).toEqual([]);
      },
    );

    test.each(LEADING)("%s: an empty Upgrade is refused or left out", async (name) => {
      const { status } = await raw(name, head([...keyed, "Connection: keep-alive", "Upgrade:"]));
      expect([200, 400]).toContain(status);
      expect(box.origin.requests.filter((seen) => /^upgrade/im.test(seen.head))).toEqual([]);
    });

    test.each(NAMES)("%s: CONNECT", async (name) => {
      const { status } = await raw(name, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n");
      expect(status).toBe(400);
      expect(box.origin.requests).toEqual([]);
    });

    test.each(["clients by TLS", "admin by TLS"] as const)("%s: extended CONNECT", async (name) => {
      const headers = {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "https",
        ":path": "/v1/responses",
      };
      const { status } = await sendH2(
        box.ports[name],
        { ...headers, authorization: `Bearer ${KEY}` },
        undefined,
      );
      expect(status).toBe(400);
      expect(box.origin.requests).toEqual([]);
    });

    test.each(LEADING)("%s: an unrequested 101 does not pass", async (name) => {
      const answer = await raw(name, head(keyed, "GET", `${PATH}?as=101`));
      expect([502, 503]).toContain(answer.status);
      expect(answer.text).not.toContain("frames");
    });

    test.each(NAMES.filter((name) => !name.includes("TLS")))(
      "%s do not speak HTTP/2 in plain text",
      async (name) => {
        const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        const { status, text } = await raw(name, preface, settings);
        expect(status).toBe(400);
        expect(text.startsWith("HTTP/1.1 400")).toBe(true);
      },
    );
  });

  describe("a body has a limit", () => {
    const limitOf = (name: Listener) => (name === "valve" ? 3 * LIMIT : LIMIT);
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 4 * LIMIT }),
      fc.constantFrom(LIMIT - 1, LIMIT, LIMIT + 1, 3 * LIMIT, 3 * LIMIT + 1),
    );

    /** The body in chunks of random sizes. */
    const chunked = (bytes: number, parts: number[]): Buffer[] => {
      const pieces: Buffer[] = [];
      for (let left = bytes, index = 0; left > 0; index++) {
        const size = Math.min(left, parts[index % parts.length]!);
        pieces.push(Buffer.from(`${size.toString(16)}\r\n${"a".repeat(size)}\r\n`));
        left -= size;
      }
      return [...pieces, Buffer.from("0\r\n\r\n")];
    };

    async function isBounded(
      name: Listener,
      bytes: number,
      answer: UndecodedAnswer | { status: number; text: string },
    ) {
      const expected = bytes > limitOf(name) ? 413 : 200;
      expect(answer.status).toBe(expected);
      const seen = box.origin.requests.at(-1);
      if (expected === 200) expect(seen).toMatchObject({ bytes, whole: true });
      else {
        const body = "body" in answer ? answer.body : answer.text;
        expect(errorOf({ body })).toMatchObject({
          type: "error",
          error: { type: "request_too_large", code: 413 },
        });
        // What was passed on before is less than the limit, and never whole.
        if (seen) expect([seen.whole, seen.bytes <= limitOf(name)]).toEqual([false, true]);
      }
    }

    modern.each(LEADING)(
      "%s: whatever its size and its pieces, with a length and in chunks",
      async (name) => {
        await fc.assert(
          fc.asyncProperty(
            sizes,
            fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
            fc.boolean(),
            async (bytes, parts, announced) => {
              box.origin.requests.length = 0;
              fc.pre(announced || parts.some((part) => part > 200));
              const answer = announced
                ? await raw(name, head([...keyed, `Content-Length: ${bytes}`], "POST"), "a".repeat(bytes))
                : await raw(
                    name,
                    head([...keyed, "Transfer-Encoding: chunked"], "POST"),
                    ...chunked(bytes, parts),
                  );
              await isBounded(name, bytes, answer);
            },
          ),
          runs(25),
        );
      },
      MINUTE,
    );

    test.each(["clients by TLS", "admin by TLS"] as const)(
      "%s: by HTTP/2, with a length and without",
      async (name) => {
        await fc.assert(
          fc.asyncProperty(sizes, fc.boolean(), async (bytes, announced) => {
            box.origin.requests.length = 0;
            const headers = {
              ...{ ":method": "POST", ":path": PATH, authorization: `Bearer ${KEY}` },
              ...(announced ? { "content-length": bytes } : {}),
            };
            await isBounded(name, bytes, await sendH2(box.ports[name], headers, Buffer.alloc(bytes, "a")));
          }),
          runs(15),
        );
      },
      MINUTE,
    );

    modern.each(LEADING)("%s: a length that is a lie, or none, opens nothing", async (name) => {
      const far = 4 * LIMIT;
      const lies = ["4294967301", "9223372036854775807", "18446744073709551615", "18446744073709551621"];
      for (const lie of lies) {
        const { status } = await raw(
          name,
          head([...keyed, `Content-Length: ${lie}`], "POST"),
          "a".repeat(far),
        );
        expect([lie, [400, 413].includes(status)]).toEqual([lie, true]);
      }
      const both = [...keyed, "Content-Length: 5", "Transfer-Encoding: chunked"];
      expect((await raw(name, head(both, "POST"), ...chunked(far, [5000]))).status).toBe(413);
      expect(box.origin.requests.filter(({ whole }) => whole)).toEqual([]);
    });

    test.each(LEADING)("%s: nobody is asked to send what will be refused", async (name) => {
      const lines = [...keyed, `Content-Length: ${4 * LIMIT}`, "Expect: 100-continue"];
      const { status, text } = await raw(name, head(lines, "POST"));
      expect([status, text.includes("100 Continue")]).toEqual([413, false]);
    });
  });

  describe("a backend's answer", () => {
    test.each(["300", "301", "302", "303", "304", "307", "308"])(
      "that redirects (%s) is a 503 that names the model",
      async (status) => {
        for (const name of ["valve", "direct"] as const) {
          const answer = await raw(name, head(keyed, "POST", `${PATH}?as=${status}`));
          expect([answer.status, answer.text.includes("canary")]).toEqual([503, false]);
          expect(errorOf(answer).error.message).toBe(
            "Model m is not available: its backend answered with a redirect, which is not followed",
          );
        }
      },
    );

    test.each(["until-close", "until-close-1.0"])(
      "that ends with its connection (%s) is refused",
      async (as) => {
        for (const name of ["valve", "direct"] as const) {
          const answer = await raw(name, head(keyed, "POST", `${PATH}?as=${as}`));
          expect([answer.status, errorOf(answer).error.message]).toEqual([
            503,
            "Model m is not available: its backend does not say where its answer ends",
          ]);
        }
      },
    );

    test.each(LEADING)("%s: a truncated one looks truncated", async (name) => {
      expect((await raw(name, head(keyed, "POST", `${PATH}?as=whole`))).body.endsWith("\r\n0\r\n\r\n")).toBe(
        true,
      );
      const chunks = await raw(name, head(keyed, "POST", `${PATH}?as=cut-chunks`));
      expect([chunks.status, chunks.body.includes('{"n":1}'), chunks.body.includes("\r\n0\r\n")]).toEqual([
        200,
        true,
        false,
      ]);
      const length = await raw(name, head(keyed, "POST", `${PATH}?as=cut-length`));
      expect([
        length.status,
        length.head.toLowerCase().includes("content-length: 1000"),
        length.body.length < 1000,
      ]).toEqual([200, true, true]);
    });

    modern("by HTTP/2 a cut answer ends with a reset", async () => {
      const headers = { ":method": "POST", authorization: `Bearer ${KEY}` };
      const ask = (as: string) =>
        sendH2(box.ports["clients by TLS"], { ...headers, ":path": `${PATH}?as=${as}` }, Buffer.from("{}"));
      expect((await ask("whole")).reset).toBe(false);
      expect((await ask("cut-chunks")).reset).toBe(true);
    });
  });

  describe("of several keys", () => {
    const GOOD = KEY;
    const BAD = "sk-other";
    const places: [string, (key: string) => string][] = [
      ["Authorization", (key) => `Authorization: Bearer ${key}`],
      ["x-api-key", (key) => `x-api-key: ${key}`],
      ["api-key", (key) => `api-key: ${key}`],
    ];
    const asking = ["clients", "clients by TLS", "admin", "admin by TLS", "job"] as const;

    test.each(asking)("%s: a bad one next to a good one is a 401, in any place", async (name) => {
      for (const [, good] of places)
        for (const [, bad] of places) {
          if (good === bad) continue;
          for (const lines of [
            [good(GOOD), bad(BAD)],
            [bad(BAD), good(GOOD)],
            [good(GOOD), bad("")],
          ]) {
            const answer = await raw(name, head(lines));
            expect([lines, answer.status]).toEqual([lines, 401]);
            expect(errorOf(answer).error.type).toBe("authentication_error");
          }
          expect((await raw(name, head([good(GOOD), bad(GOOD)]))).status).toBe(200);
        }
      for (const scheme of ["Basic YTpi", "Bearer", GOOD, "Digest x"])
        expect((await raw(name, head([`Authorization: ${scheme}`, `x-api-key: ${GOOD}`]))).status).toBe(401);
      for (const [, place] of places)
        expect((await raw(name, head([place(GOOD), place(BAD)]))).status).toBe(401);
    });

    test.each(["clients", "admin", "job"] as const)(
      "%s: one in an unchecked place does not reach the gateway",
      async (name) => {
        const others = ["x-litellm-api-key", "x-goog-api-key", "Ocp-Apim-Subscription-Key"];
        const { status } = await raw(
          name,
          head([places[0]![1](GOOD), ...others.map((field) => `${field}: ${BAD}`)]),
        );
        expect(status).toBe(200);
        expect(box.origin.requests.at(-1)!.head).not.toContain(BAD);
      },
    );

    test("the port of a model accepts only its own key", async () => {
      expect((await raw("direct", head([places[0]![1](BAD), places[1]![1](GOOD)]))).status).toBe(401);
      expect((await raw("direct", head([places[0]![1](GOOD), places[1]![1](GOOD)]))).status).toBe(200);
    });
  });
});
