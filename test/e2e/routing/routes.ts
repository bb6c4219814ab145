import { output } from "../../../platform/process";
import type { RoutedBox } from "./box";

const MINUTE = 60_000;

/** Which of LiteLLM's routes are open, and to whom. */
export function routeStories(box: RoutedBox): void {
  describe("the routes of the pinned LiteLLM", () => {
    /** `METHOD /path` of every route that its OpenAPI names, with `x` for each parameter. */
    let routes: { method: string; path: string }[];

    beforeAll(async () => {
      const answer = await fetch(`${box.admin}/openapi.json`, {
        headers: { authorization: `Bearer ${box.key}` },
      });
      const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
      routes = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods)
          .filter((method) => ["get", "post", "put", "patch", "delete"].includes(method))
          .map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{[^}]*\}/g, "x") })),
      );
      expect(routes.length).toBeGreaterThan(500);
    });

    const CLOSED =
      /This port serves inference only\.|No model here answers this route[:.]|This route is closed\./;
    const OPEN =
      /^(\/v1)?\/(chat\/completions|completions|embeddings|messages(\/count_tokens)?|models(\/x)?|responses(\/.*)?|rerank|audio\/(transcriptions|speech))$|^\/health\/(liveliness|readiness)$/;

    /** Status of each route, and whether the edge closed it. In small groups: it is one process. */
    async function statuses(base: string, theirs: typeof routes, headers: Record<string, string>) {
      const found: { route: string; status: number; closed: boolean }[] = [];
      for (let start = 0; start < theirs.length; start += 16)
        found.push(
          ...(await Promise.all(
            theirs.slice(start, start + 16).map(async ({ method, path }) => {
              const body = method === "GET" ? undefined : "{}";
              const answer = await fetch(base + path, {
                ...{ method, body, redirect: "manual" as const },
                headers: { "content-type": "application/json", ...headers },
              });
              const text = await answer.text();
              return { route: `${method} ${path}`, status: answer.status, closed: CLOSED.test(text) };
            }),
          )),
        );
      return found;
    }

    test(
      "are closed to clients except for inference, even with the master key",
      async () => {
        const outside = routes.filter(({ path }) => !OPEN.test(path));
        const found = await statuses(box.project.endpoint, outside, { authorization: `Bearer ${box.key}` });
        expect(found.filter(({ closed, status }) => !closed || status !== 404)).toEqual([]);
        const inside = routes.filter(({ path }) => OPEN.test(path));
        expect(inside.map(({ path }) => path)).toEqual(
          expect.arrayContaining(["/v1/messages", "/v1/rerank"]),
        );
        expect((await statuses(box.project.endpoint, inside, {})).filter(({ closed }) => closed)).toEqual([]);
      },
      2 * MINUTE,
    );

    test(
      "are not called admin routes where LiteLLM counts them to a model's API",
      async () => {
        // Its text, because an import of LiteLLM takes ten seconds.
        const script = [
          "import ast, importlib.util, json",
          "folder = importlib.util.find_spec('litellm').submodule_search_locations[0]",
          "text = ast.parse(open(f'{folder}/proxy/_types.py').read())",
          "routes = next(one for one in text.body if getattr(one, 'name', '') == 'LiteLLMRoutes')",
          "names = 'openai_routes', 'anthropic_routes', 'google_routes', 'mapped_pass_through_routes'",
          "lists = [one.value for one in routes.body if isinstance(one, ast.Assign) and one.targets[0].id in names]",
          "print(json.dumps([ast.literal_eval(one) for one in lists]))",
        ];
        const lists: string[][] = JSON.parse(
          await output("docker", ["exec", box.gateway, "python3", "-c", script.join("\n")]),
        );
        expect(lists).toHaveLength(4);
        const paths = lists
          .flat()
          .map((path) => path.replace(/\?.*$/, "").replaceAll(/\{[^}]*\}|\*/g, "x"))
          .filter((path) => !OPEN.test(path));
        expect(paths.length).toBeGreaterThan(150);
        const answers: string[] = [];
        for (const path of paths) answers.push(`${path} ${(await box.post(path, {})).text}`);
        expect(
          answers.filter((one) => !/No model here answers this route|This route is closed\./.test(one)),
        ).toEqual([]);
      },
      2 * MINUTE,
    );

    test(
      "answer 401 to a wrong key, on the clients' port and on the admin port",
      async () => {
        const wrong = { authorization: "Bearer sk-wrong-0123456789abcdef" };
        const inference = routes.filter(({ path }) => OPEN.test(path) && !path.startsWith("/health/"));
        const clients = await statuses(box.project.endpoint, inference, wrong);
        expect(clients.filter(({ status }) => status !== 401)).toEqual([]);
        const all = await statuses(box.admin, routes, wrong);
        const others = all.filter(({ status }) => status !== 401);
        // The edge serves that route to nobody.
        expect(others.map(({ route, status }) => [route, status])).toEqual([["GET /health/drain", 404]]);
      },
      3 * MINUTE,
    );

    test.each([
      ["/v1/completions", "text", { prompt: "x" }, { choices: [{ text: "said by text" }] }],
      ["/v1/embeddings", "embed", { input: "x" }, { data: [{ embedding: [0.25, 0.5] }] }],
      ["/v1/rerank", "ranks", { query: "x", documents: ["y"] }, { results: [{ relevance_score: 0.5 }] }],
      [
        "/v1/messages",
        "plain",
        { max_tokens: 9, messages: [{ role: "user", content: "x" }] },
        { content: [{ text: "said by plain" }] },
      ],
      [
        "/v1/responses",
        "plain",
        { input: "x" },
        { output: [{ content: [{ type: "output_text", text: "said by plain" }] }] },
      ],
      [
        "/v1/messages/count_tokens",
        "plain",
        { messages: [{ role: "user", content: "x" }] },
        { input_tokens: expect.any(Number) },
      ],
    ])("serve %s", async (path, name, body, expected) => {
      const { status, json } = await box.post(path, { model: name, ...body });
      expect([status, json]).toMatchObject([200, expected]);
    });

    test("serve audio where a model is declared for it", async () => {
      const form = new FormData();
      form.append("model", "hears");
      form.append("file", new Blob(["RIFF"], { type: "audio/wav" }), "x.wav");
      const heard = await fetch(`${box.project.endpoint}/v1/audio/transcriptions`, {
        method: "POST",
        headers: { authorization: `Bearer ${box.key}` },
        body: form,
      });
      expect([heard.status, await heard.json()]).toMatchObject([200, { text: "heard by hears" }]);
      const spoken = await box.post("/v1/audio/speech", { model: "speaks", input: "x", voice: "alloy" });
      expect([spoken.status, spoken.text]).toEqual([200, "spoken"]);
    });
  });
}
