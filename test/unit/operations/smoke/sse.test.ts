import fc from "fast-check";
import { type SseEvent, sseEvents } from "../../../../operations/smoke/sse";

const parse = async (chunks: Uint8Array[]) => {
  const body = (async function* () {
    yield* chunks;
  })();
  const events: SseEvent[] = [];
  for await (const event of sseEvents(body)) events.push(event);
  return events;
};
const line = fc.string({ unit: "grapheme" }).filter((text) => !/[\r\n]/.test(text));
const anEvent = fc.record({
  event: line,
  data: fc.array(line, { minLength: 1, maxLength: 3 }),
  comment: line,
});

test("any split of the bytes, with any line end, gives the same events", async () => {
  const given = [fc.array(anEvent), fc.constantFrom("\n", "\r\n", "\r"), fc.array(fc.nat(200))] as const;
  const property = fc.asyncProperty(...given, async (events, end, cuts) => {
    const lines = events.flatMap(({ event, data, comment }) => [
      `:${comment}`,
      `event: ${event}`,
      ...data.map((text) => `data: ${text}`),
      "",
    ]);
    const bytes = Buffer.from(lines.map((text) => text + end).join(""));
    const edges = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
    const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
    expect(await parse(chunks)).toEqual(
      events.map(({ event, data }) => ({ event: event || "message", data: data.join("\n") })),
    );
  });
  await fc.assert(property);
});

test("an event that the end cuts off is dropped", async () => {
  expect(await parse([Buffer.from("data: a\n\ndata: b\n")])).toEqual([{ event: "message", data: "a" }]);
});

test("fields without a space or a value, other fields and events without data are understood", async () => {
  const text = "\ufeffdata:a\ndata\nid: 1\nretry: 5\n\nevent: ping\n\ndata:  b\n\n";
  expect(await parse([Buffer.from(text)])).toEqual([
    { event: "message", data: "a\n" },
    { event: "message", data: " b" },
  ]);
});
