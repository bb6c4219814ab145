import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { compare, compareGateways, shapeOf } from "../../../../operations/import/compare";

const chat = (content: string, model = "m") => ({
  ...{
    id: content,
    model,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
  },
  usage: { total_tokens: content.length },
});

test("status, model and shape have to agree; the wording does not", () => {
  const answer = (body: unknown, status = 200) => ({ status, model: "m", shape: shapeOf(body) });
  const verdict = (was: unknown, is: unknown) => compare("m", answer(was), answer(is)).same;
  expect(verdict(chat("one"), chat("another, longer"))).toBe(true);
  expect(verdict(chat("one"), { ...chat("one"), choices: [] })).toBe(false);
  expect(verdict(chat("one"), { ...chat("one"), usage: undefined, system_fingerprint: "x" })).toBe(true);
  expect(compare("m", answer(chat("a")), answer({}, 500)).new).toBe(
    "500 m (status; without id, model, choices)",
  );
  expect(compare("m", answer(chat("a")), { ...answer(chat("a")), model: "n" }).new).toBe("200 n (model)");
});

test("two that do not answer are not alike", () => {
  const none = { status: 0, shape: [] };
  expect(compare("m", none, none)).toMatchObject({ old: "no answer", new: "no answer", same: false });
});

describe("two gateways", () => {
  const servers: Server[] = [];
  const keys: (string | undefined)[] = [];
  const gateway = async (models: string[], embeds = "nothing") => {
    const server = createServer((request, response) => {
      keys.push(request.headers.authorization);
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => {
        const { model } = JSON.parse(body || "{}") as { model?: string };
        const answers: Record<string, unknown> = {
          "/v1/models": { data: models.map((id) => ({ id })) },
          "/model/info": { data: [{ model_name: "e", model_info: { mode: "embedding" } }] },
          "/v1/chat/completions": chat(String(Math.random()), model),
          "/v1/messages": { type: "message", model, content: [{ type: "text", text: "x" }] },
          "/v1/embeddings": { data: [{ embedding: [0.1] }], model: embeds },
        };
        response.end(JSON.stringify(answers[request.url ?? ""] ?? {}));
      });
    });
    servers.push(server);
    await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  afterAll(() => {
    for (const server of servers) server.close();
  });

  test("are asked the same, by what each model is for, with a key each", async () => {
    const old = { url: await gateway(["e", "m", "gone"]), key: "sk-old" };
    const fresh = { url: await gateway(["e", "m", "more"], "something"), key: "sk-new" };
    const compared = await compareGateways({ old, new: fresh });
    expect(compared).toEqual([
      { request: "/v1/models", old: "3 models", new: "without gone", same: false },
      { request: "e /v1/embeddings", old: "200 nothing", new: "200 something (model)", same: false },
      { request: "m /v1/chat/completions", old: "200 m", new: "200 m", same: true },
      { request: "m /v1/messages", old: "200 m", new: "200 m", same: true },
    ]);
    expect(new Set(keys)).toEqual(new Set(["Bearer sk-old", "Bearer sk-new"]));
  });
});
