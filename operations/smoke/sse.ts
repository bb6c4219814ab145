export interface SseEvent {
  /** The event's name; `message` when the server gave none. */
  event: string;
  /** The `data:` lines, joined by newlines. */
  data: string;
}

/**
 * Reads server-sent events from the body of a fetch response, however the network split its bytes.
 *
 * Skips comments, `id`, `retry` and events without data. As the standard demands, it drops an event that the end of the
 * stream cuts off: a truncated answer must not look complete.
 *
 * @throws What the body throws, for example when the connection breaks or its signal aborts.
 */
export async function* sseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseEvent> {
  let event = "";
  let data: string[] = [];
  for await (const line of lines(body)) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
}

/** Complete lines only: text after the last line end is dropped. */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be the first half of a line end whose second half is still on its way.
    const found = rest.split(/\r\n|\n|\r(?!$)/);
    rest = found.pop() ?? "";
    yield* found;
  }
  if (rest.endsWith("\r")) yield rest.slice(0, -1);
}
