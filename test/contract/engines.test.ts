import { readFileSync } from "node:fs";
import { join } from "node:path";
import { engines } from "../../configs/engines";
import { sglangParsers } from "../../configs/engines/parsers/sglang";
import { tensorrtllmParsers } from "../../configs/engines/parsers/tensorrtllm";
import { vllmParsers } from "../../configs/engines/parsers/vllm";
import { modelBase, onDemand } from "../../configs/schema/model";
import { type Case, cases as written } from "./engines/cases";
import { broken, readContract } from "./engines/contract";
import { environmentOf, render } from "./engines/render";

/** Keys from which no word of the engine follows: they are the box's, or the container's limits. */
const NOT_THE_ENGINES = new Set([
  ...[
    "engine",
    "offlineModel",
    "memoryMiB",
    "shmMiB",
    "pidsLimit",
    "readySeconds",
    "holdSeconds",
    "stopGraceSeconds",
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
  ],
]);

/** Keys that gpubox refuses for an engine, though its schema has them. */
const REFUSED: Record<string, string[]> = { ollama: ["extraArgs"] };

/** Keys that may only repeat what follows from `gpu.devices`. */
const REPEATED = new Set(["tensorParallelSize", "tpSize"]);

/** Engines of the registry that run as containers, with their cases. */
const served = Object.entries(engines)
  .filter(([, engine]) => engine.container)
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

test.each(cases)("%s %s is rendered in words that its release knows", (name, _, one) => {
  expect(broken(readContract(name), render(name, one), environmentOf(name))).toEqual([]);
});

test.each(cases)("%s %s is reached by a provider that LiteLLM knows", (name, _, one) => {
  const { providers } = readContract("litellm") as unknown as { providers: string[] };
  expect(providers).toContain(render(name, one).route.model.split("/")[0]);
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
