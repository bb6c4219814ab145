import { sseEvents } from "../../operations/smoke/sse";
import { PIXEL } from "./projector";
import { ask, type Protocol, promptTokens, protocols, type Question, type Tool } from "./protocols";

/** What the canned tool model says once it knows a tool's result, and what it calls the tool with. */
export const ANSWER = "It is sunny in the town that was asked for";
export const CITY = { city: "Zürich", days: 3 };

export const weather: Tool = {
  name: "get_weather",
  description: "The weather of a town",
  schema: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer", enum: [1, 3] } },
    required: ["city"],
  },
};

/** Where a box answers, asked for when a test runs: it is not up when tests are declared. */
export type Reached = () => { endpoint: string; key: string };

/** Each protocol, whole and streamed: path, how, protocol, streamed. */
export const ways = Object.values(protocols).flatMap((protocol): [string, string, Protocol, boolean][] => [
  [protocol.path, "whole", protocol, false],
  [protocol.path, "streamed", protocol, true],
]);

/** What a client asks the model `tools` by one way. */
export function asker(reached: Reached, protocol: Protocol, stream: boolean) {
  const question: Question = {
    model: "tools",
    text: "How is the weather in Zürich?",
    maxTokens: 200,
    stream,
  };
  return (more: Partial<Question> = {}) => {
    const { endpoint, key } = reached();
    return ask(endpoint, key, protocol, { ...question, ...more });
  };
}

/** Declares the tests that a canned tool model, named `tools`, has to pass by one way. */
export function testTools(reached: Reached, protocol: Protocol, stream: boolean): void {
  const answer = asker(reached, protocol, stream);
  const said = { text: ANSWER, calls: [], stop: protocol.stops.complete };

  test("a question is answered", async () => {
    expect(await answer()).toEqual(said);
  });

  test("an offered tool is called, and its result is answered", async () => {
    const first = await answer({ tools: [weather] });
    expect(first).toEqual({
      text: "",
      calls: [{ id: expect.stringMatching(/./), name: weather.name, arguments: CITY }],
      stop: protocol.stops.call,
    });
    const called = { call: first.calls[0]!, result: '{"sky":"clear"}' };
    expect(await answer({ tools: [weather], called })).toEqual(said);
  });
}

/** Declares the tests of `/v1/responses` that a canned tool model, named `tools`, has to pass. */
export function testResponses(reached: Reached): void {
  const send = (path: string, body?: object) => {
    const { endpoint, key } = reached();
    return fetch(`${endpoint}/v1/responses${path}`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: body && JSON.stringify({ model: "tools", max_output_tokens: 200, ...body }),
    });
  };
  const input = "How is the weather in Zürich?";

  test("a question is answered by /v1/responses, and nobody keeps the answer", async () => {
    const response = await send("", { input });
    const answer = (await response.json()) as {
      id: string;
      status: string;
      output: { type: string; content?: { text?: string }[] }[];
    };
    const said = answer.output
      .filter(({ type }) => type === "message")
      .flatMap(({ content = [] }) => content.map(({ text }) => text ?? ""));
    expect([response.status, answer.status, said.join("").trim()]).toEqual([200, "completed", ANSWER]);
    expect((await send(`/${answer.id}`)).status).toBe(404);
  });

  test("a question is answered by /v1/responses as a stream", async () => {
    const response = await send("", { input, stream: true });
    expect(response.status).toBe(200);
    const events: { type: string; delta?: string }[] = [];
    for await (const { data } of sseEvents(response.body!))
      if (data !== "[DONE]") events.push(JSON.parse(data));
    const said = events.map(({ type, delta }) => (type === "response.output_text.delta" ? delta : ""));
    expect(said.join("").trim()).toBe(ANSWER);
    expect(events.at(-1)?.type).toBe("response.completed");
  });
}

/**
 * Declares the tests of a model named `eyes`, and of one named `vectors` with 32 dimensions.
 *
 * @param expectTokens is given the tokens that an image adds
 */
export function testEyesAndVectors(reached: Reached, expectTokens: (tokens: number) => void): void {
  test.each(Object.values(protocols).map((protocol) => [protocol.path, protocol] as const))(
    "%s: an image becomes the tokens of its patches, and one that is none is refused",
    async (_, protocol) => {
      const { endpoint, key } = reached();
      const question: Question = { model: "eyes", text: "What is this?", maxTokens: 16, stream: false };
      const tokens = (more: Partial<Question>) =>
        promptTokens(endpoint, key, protocol, { ...question, ...more });
      const image = { mediaType: "image/png", base64: PIXEL };
      expectTokens((await tokens({ image })) - (await tokens({})));
      await expect(tokens({ image: { ...image, base64: "AAAA" } })).rejects.toThrow(/^(400|500) .*image/s);
    },
  );

  test("an embedding has a number for each dimension of the model, and its length is 1", async () => {
    const { endpoint, key } = reached();
    const response = await fetch(`${endpoint}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "vectors", input: ["one", "another"] }),
    });
    expect([response.status, response.ok ? "" : await response.text()]).toEqual([200, ""]);
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([32, 32]);
    for (const { embedding } of data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
  });
}
