import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { memoryNeed } from "../../configs/capacity/memory";
import { lockedModel } from "../../configs/models/lock";
import { dashboards } from "../../configs/plan/observability/dashboards";
import { RUNNING, WAITING } from "../../configs/plan/observability/rules";
import { gpuSchema } from "../../configs/schema/gpu";
import { resolveSource } from "../../operations/models/resolve";
import { sseEvents } from "../../operations/smoke/sse";
import { run } from "../../platform/process";
import { cannedAdapter, cannedSafetensors, type Repository } from "../../tools/cannedSafetensors";
import { allocate, scratch } from "../support/allocate";
import { ANSWER, CITY, testResponses, testTools, ways, weather } from "../support/engineClaims";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { metricNames, namesIn, query } from "../support/prometheus";
import { protocols } from "../support/protocols";
import { writeRepository } from "../support/repository";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("vllm");
const PROMETHEUS = `http://127.0.0.1:${PORT + 3}`;

const THOUGHT = "An easy one.";
const canned = { answer: ANSWER, thought: THOUGHT, tool: weather.name, arguments: CITY };

const KV_BYTES = 64 * 2 ** 20;
/** Tokens of a block of the KV cache, which vLLM shares between requests as a whole. */
const BLOCK = 128;

// The CPU's kernels for 16 bits need AMX with eager mode.
const common = { engine: "vllm", dtype: "float32", enforceEager: true, memoryMiB: 3072, readySeconds: 540 };

needs("root", "docker")("models of the real vLLM", () => {
  let project: TestProject;
  let folder: string;
  let key: string;

  /** Writes a repository to the host; its source for the stack's config. */
  const onHost = (name: string, repository: Repository) => writeRepository(join(folder, name), repository);

  const post = (path: string, body: object, bearer = key) =>
    fetch(`${project.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  async function said<Body>(path: string, body: object): Promise<Body> {
    const answer = await post(path, body);
    expect([answer.status, answer.ok ? "" : await answer.text()]).toEqual([200, ""]);
    return (await answer.json()) as Body;
  }

  const log = async (role: string) => {
    const { stdout, stderr } = await run("docker", ["logs", `gpubox-${STACK}-backend-${role}`]);
    return `${stdout}${stderr}`;
  };

  beforeAll(async () => {
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    project = makeProject(STACK, PORT, {
      observability: { mode: "bundled", port: PORT + 2, prometheusPort: PORT + 3, scrapeSeconds: 1 },
      models: {
        tools: {
          ...common,
          model: onHost("tools", cannedSafetensors(canned)),
          maxModelLen: 8192,
          kvCacheMemoryBytes: KV_BYTES,
          toolCallParser: "hermes",
          reasoningParser: "qwen3",
          // It skips the thought, which has five pieces, and the first two words.
          loraModules: { later: onHost("later", cannedAdapter(canned, 7)) },
        },
        vectors: {
          ...common,
          model: onHost("vectors", cannedSafetensors({ embeds: true })),
          mode: "embedding",
          maxModelLen: 512,
          kvCacheMemoryBytes: KV_BYTES,
        },
      },
    });
    const up = await gpubox(project, "up", "--yes", "--engine", "compose");
    expect(up.code === 0 ? "" : `${up.stdout}\n${up.stderr}`).toBe("");
    key = JSON.parse(readFileSync(join(project.dir, ".gpubox", `secrets.${STACK}.json`), "utf8")).masterKey;
  }, 30 * MINUTE);
  afterAll(() => {
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
  }, MINUTE);

  const reached = () => ({ endpoint: project.endpoint, key });

  testResponses(reached);

  describe.each(ways)("%s, %s", (path, _how, protocol, stream) => {
    testTools(reached, protocol, stream);

    test("a thought arrives as one, apart from the answer", async () => {
      const body = protocol.body({ model: "tools", text: "Think.", maxTokens: 200, stream });
      const answer = await post(path, body);
      expect((await thoughtOf(answer, stream)).trim()).toBe(THOUGHT);
    });
  });

  test("another key than a gateway's is refused", async () => {
    const question = protocols.chat.body({ model: "tools", text: "ping", maxTokens: 8, stream: false });
    expect((await post("/v1/chat/completions", question, "sk-somebody-else")).status).toBe(401);
  });

  test("usage counts the tokens of the prompt that were cached, in whole blocks", async () => {
    const question = (text: string) => ({
      ...{ model: "tools", max_tokens: 8 },
      messages: [{ role: "user", content: text.repeat(700) }],
    });
    interface Usage {
      prompt_tokens: number;
      prompt_tokens_details: { cached_tokens: number } | null;
    }
    const usage = async () => (await said<{ usage: Usage }>("/v1/chat/completions", question("a"))).usage;
    await usage();
    const { prompt_tokens: prompt, prompt_tokens_details: details } = await usage();
    expect(prompt).toBeGreaterThan(700);
    expect(details?.cached_tokens).toBe(Math.floor((prompt - 1) / BLOCK) * BLOCK);

    type Anthropic = { usage: { input_tokens: number; cache_read_input_tokens?: number } };
    const messages = async () => (await said<Anthropic>("/v1/messages", question("b"))).usage;
    await messages();
    expect((await messages()).cache_read_input_tokens).toBe(details?.cached_tokens);
  });

  test("a count of tokens is vLLM's own: that of the same question's usage", async () => {
    const question = {
      model: "tools",
      messages: [{ role: "user", content: "Zürich?" }],
      system: "Be brief.",
      tools: [{ name: weather.name, description: weather.description, input_schema: weather.schema }],
    };
    const { input_tokens: counted } = await said<{ input_tokens: number }>(
      "/v1/messages/count_tokens",
      question,
    );
    const { usage } = await said<{ usage: Record<string, number> }>("/v1/messages", {
      ...question,
      max_tokens: 8,
    });
    const { input_tokens: fresh, cache_read_input_tokens: read, cache_creation_input_tokens: kept } = usage;
    expect(counted).toBe((fresh ?? 0) + (read ?? 0) + (kept ?? 0));
    expect(counted).toBeGreaterThan(200);
  });

  // Without the beginning of a thought it never closes one, and vLLM's parser takes all that it says for one.
  test.each(ways)(
    "an adapter is a model of its own that answers in its way: %s, %s",
    async (path, _how, protocol, stream) => {
      const body = protocol.body({ model: "later", text: "ping", maxTokens: 64, stream });
      const said = await thoughtOf(await post(path, body), stream);
      expect(said.trim()).toBe(ANSWER.split(" ").slice(2).join(" "));
    },
  );

  test("an embedding tells one text from another", async () => {
    const { data } = await said<{ data: { embedding: number[] }[] }>("/v1/embeddings", {
      model: "vectors",
      input: ["ends with A", "with B", "also A"],
    });
    const places = data.map(({ embedding }) => embedding.flatMap((value, at) => (value > 0.99 ? [at] : [])));
    expect(places).toEqual(["A", "B", "A"].map((text) => [text.charCodeAt(0) % 64]));
  });

  test("a model that embeds ranks too, and puts the document first that is like the query", async () => {
    const { results } = await said<{ results: { index: number; relevance_score: number }[] }>("/v1/rerank", {
      model: "vectors",
      query: "what ends with A",
      documents: ["this with B", "this with A", "this with C"],
    });
    expect(results.map(({ index }) => index)[0]).toBe(1);
    expect(results.map(({ relevance_score: score }) => Math.round(score)).sort()).toEqual([0, 0, 1]);
  });

  test("its KV cache holds as many tokens as the planner says", async () => {
    const source = `file://${folder}/tools`;
    const { tokenBytes } = memoryNeed(
      {
        ...{ model: "tools", path: "gpubox:models.tools", devices: [0], start: "auto" },
        locked: lockedModel({ [source]: await resolveSource(source, {}) }, source)!,
        engine: { engine: "vllm", maxModelLen: 8192, dtype: "float32" },
      },
      gpuSchema.parse({ id: 0, memoryGiB: 16, unified: true }),
    );
    const [, tokens] = /KV cache size: ([\d,]+) tokens/.exec(await log("tools")) ?? [];
    expect(Number(tokens?.replaceAll(",", ""))).toBe(KV_BYTES / tokenBytes);
  });

  test(
    "Prometheus reads it, and knows every metric of vLLM that a dashboard or a rule names",
    async () => {
      const expressions = dashboards.flatMap(({ panels }) =>
        panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)),
      );
      const named = [...new Set(expressions.flatMap(namesIn))].filter((name) => name.startsWith("vllm:"));
      expect(named.sort()).toEqual(["vllm:num_requests_running", "vllm:num_requests_waiting"]);
      await until("they are scraped", async () => {
        const known = await metricNames(PROMETHEUS);
        return named.every((name) => known.has(name));
      });
      for (const panel of [RUNNING, WAITING]) {
        const series = await query(PROMETHEUS, `sum by (model) (${panel})`);
        expect(series.map(({ labels }) => labels.model).sort()).toEqual(["tools", "vectors"]);
      }
    },
    2 * MINUTE,
  );

  test("its log has the requests of clients, and neither a health check nor a scrape", async () => {
    const lines = (await log("tools")).split("\n");
    expect(lines.filter((line) => line.includes('"POST /v1/chat/completions'))).not.toEqual([]);
    expect(lines.filter((line) => /"GET \/(health|metrics)/.test(line))).toEqual([]);
  });
});

interface Piece {
  choices?: { message?: { reasoning_content?: string }; delta?: { reasoning_content?: string } }[];
  content?: { type: string; thinking?: string }[];
  delta?: { type?: string; thinking?: string };
}

/** What a model thought before its answer, in both protocols' words. */
async function thoughtOf(answer: Response, stream: boolean): Promise<string> {
  expect(answer.status).toBe(200);
  const pieces: Piece[] = [];
  if (stream) {
    for await (const { data } of sseEvents(answer.body!))
      if (data !== "[DONE]") pieces.push(JSON.parse(data));
  } else pieces.push((await answer.json()) as Piece);
  return pieces
    .flatMap(({ choices = [], content = [], delta }) => [
      ...choices.map((choice) => (choice.message ?? choice.delta)?.reasoning_content),
      ...content.map(({ thinking }) => thinking),
      delta?.thinking,
    ])
    .filter((text) => text !== undefined && text !== null)
    .join("");
}
