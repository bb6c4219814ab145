import { openSocket } from "../../support/rawHttp";
import { type Fields, RawH2 } from "../../support/rawHttp2";
import { chat, notRefused } from "./answers";
import { type AttackBox, type Listener, type Name, testOn } from "./lab";

/** Requests that a flood sends, over loopback. */
const FLOOD = 250;
const CONNECTIONS = 4;

/** Whoever takes all there is. */
export function floodAttacks(box: () => AttackBox, on: Name[], most: number): void {
  testOn(
    on,
    ["clients", "clients with TLS"],
    "a flood over few connections of HTTP/2 is held to the limit, and others are answered meanwhile",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      const wire = to.tls ? { ...to, tls: { ...to.tls, alpn: "h2" as const } } : to;
      const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => RawH2.open(wire)));
      const floods = Array.from({ length: FLOOD }, (_, n) => {
        const body = JSON.stringify(chat("far", `flood ${name} ${n} do:sleep=1`));
        return clients[n % CONNECTIONS]!.request(fieldsOf(to, "POST", "/v1/chat/completions", body), body);
      });
      const alive = box().ask(to, { path: "/health/liveliness" });
      const answers = await Promise.all(floods);
      for (const client of clients) client.close();
      expect((await alive).status).toBe(200);
      const { most: atOnce } = await box().kept("upstream");
      expect(atOnce).toBeLessThanOrEqual(most);
      const refused = answers.filter(({ status }) => status !== 200 && status !== 0);
      expect(refused.filter(({ status }) => status !== 429 && status !== 503)).toEqual([]);
      const json = { "content-type": "application/json" };
      expect(refused.map((one) => notRefused({ ...one, headers: json })).filter(Boolean)).toEqual([]);
      expect(
        (await box().post(to, "/v1/chat/completions", chat("far", `after the flood ${name}`))).status,
      ).toBe(200);
    },
    120_000,
  );
}

/** Sends header fields a byte at a time, and tells when the server had enough. */
export async function slowHeaders(to: Listener, limitMs: number): Promise<{ text: string; tookMs: number }> {
  const socket = await openSocket(to);
  const start = performance.now();
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(`GET /v1/models HTTP/1.1\r\nHost: ${to.host}\r\nX-Slow: `);
  const drip = setInterval(() => socket.write("y"), 1_000);
  return new Promise((resolve) => {
    const done = () => {
      clearInterval(drip);
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, tookMs: performance.now() - start });
    };
    const timer = setTimeout(done, limitMs);
    socket.on("close", done);
    socket.on("end", done);
  });
}

function fieldsOf(to: Listener, method: string, path: string, body: string): Fields {
  return [
    ...([
      [":method", method],
      [":scheme", to.tls ? "https" : "http"],
      [":path", path],
    ] as Fields),
    ...([
      [":authority", to.host],
      ["authorization", `Bearer ${to.key}`],
    ] as Fields),
    ...([
      ["content-type", "application/json"],
      ["content-length", String(Buffer.byteLength(body))],
    ] as Fields),
  ];
}
