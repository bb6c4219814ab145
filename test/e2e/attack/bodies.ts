import { answersIn, openSocket, type RawAnswer } from "../../support/rawHttp";
import { RawH2 } from "../../support/rawHttp2";
import { notRefused } from "./answers";
import { type AttackBox, type Listener, type Name, testOn } from "./lab";

const ROUTES = ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/responses", "/v1/completions"];

/**
 * Bodies that are larger than any model's context.
 *
 * @param limitBytes the stack's limit
 */
export function bodyAttacks(box: () => AttackBox, on: Name[], limitBytes: number): void {
  testOn(on, on, "a body over the limit by its own word is refused before it comes", async (name) => {
    const to = box().listener(name);
    for (const path of ROUTES)
      for (const length of [limitBytes + 1, 20 * 1024 ** 3]) {
        const answer = await tooLarge(to, path, `Content-Length: ${length}`, 0);
        expect([path, length, answer.status, notRefused(answer)]).toEqual([path, length, 413, undefined]);
      }
  });

  testOn(on, on, "a body over the limit in chunks is refused where the limit is", async (name) => {
    const to = box().listener(name);
    const answer = await tooLarge(to, ROUTES[0]!, "Transfer-Encoding: chunked", limitBytes + 1024 ** 2);
    expect([answer.status, notRefused(answer)]).toEqual([413, undefined]);
  });

  testOn(
    on,
    ["clients with TLS", "admin with TLS"],
    "neither is one in frames of HTTP/2 passed",
    async (name) => {
      const to = box().listener(name);
      const client = await RawH2.open({ ...to, tls: { ...to.tls!, alpn: "h2" } });
      const { status, body } = await client.request(
        [
          ...([
            [":method", "POST"],
            [":scheme", "https"],
            [":path", ROUTES[0]!],
            [":authority", to.host],
          ] as [string, string][]),
          ...([
            ["authorization", `Bearer ${to.key}`],
            ["content-length", String(limitBytes + 1)],
          ] as [string, string][]),
        ],
        "",
        { ends: false },
      );
      client.close();
      expect([status, notRefused({ status, headers: {}, body })]).toEqual([413, undefined]);
    },
  );
}

/** Announces a body, sends so much of it, and reads the answer. */
async function tooLarge(to: Listener, path: string, announced: string, bytes: number): Promise<RawAnswer> {
  const socket = await openSocket(to);
  let text = "";
  let over = false;
  const done = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      resolve();
    };
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const first = answersIn(text)[0];
      if (first && first.status >= 200 && first.body.length >= Number(first.headers["content-length"] ?? 0))
        end();
    });
    socket.on("close", end);
    setTimeout(end, 20_000).unref();
  });
  const own = [`POST ${path} HTTP/1.1`, `Host: ${to.host}`, `Authorization: Bearer ${to.key}`];
  socket.write(`${[...own, "Content-Type: application/json", announced].join("\r\n")}\r\n\r\n`);
  const chunk = Buffer.alloc(65_536, "x");
  for (let sent = 0; sent < bytes && !over && !socket.destroyed; sent += chunk.length) {
    const flushed = socket.write(Buffer.concat([Buffer.from("10000\r\n"), chunk, Buffer.from("\r\n")]));
    if (!flushed) await Promise.race([done, new Promise((resolve) => socket.once("drain", resolve))]);
  }
  await done;
  socket.destroy();
  return answersIn(text)[0] ?? { status: 0, headers: {}, body: "" };
}
