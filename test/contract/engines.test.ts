import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { engines } from "../../configs/engines";
import { modelBase } from "../../configs/schema/model";
import { type Case, cases as written } from "./engines/cases";
import { broken, readContract } from "./engines/contract";
import { environmentOf, isRegistered, render } from "./engines/render";

/** Keys from which no word of the engine follows: they are the box's, or the container's limits. */
const NOT_THE_ENGINES = new Set([
  ...["engine", "offlineModel", "memoryMiB", "shmMiB", "readySeconds", "holdSeconds", "stopGraceSeconds"],
  ...["expose", "instances", ...Object.keys(modelBase)],
]);

/** Keys that gpubox refuses for an engine, though its schema has them. */
const REFUSED: Record<string, string[]> = { ollama: ["extraArgs"] };

/** Keys that may only repeat what follows from `gpu.devices`. */
const REPEATED = new Set(["tensorParallelSize", "tpSize"]);

for (const name of Object.keys(written).filter((name) => !isRegistered(name)))
  test.skip(`${name}, which the registry does not have yet`, () => {});

/** Engines of the registry that run as containers, with their cases. */
const served = Object.entries(engines)
  .filter(([, engine]) => engine.container)
  .map(([name, { keys }]): [string, Case[]] => [
    name,
    (written[name] ?? []).map((one) => known(name, keys, one)),
  ]);

const cases = served.flatMap(([name, all]) =>
  all.map((one): [string, string, Case] => [name, one.about, one]),
);

/** A case without the keys that its engine does not have yet. */
function known(name: string, keys: string[], one: Case): Case {
  const missing = Object.keys(one.entry).filter((key) => !keys.includes(key));
  for (const key of missing)
    test.skip(`${name} ${one.about}: ${key}, which its schema does not have yet`, () => {});
  const entry = Object.fromEntries(Object.entries(one.entry).filter(([key]) => keys.includes(key)));
  return { ...one, entry };
}

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

interface Parsers {
  engine: string;
  tools: string[];
  reasoning: string[];
  toolsByFamily: Record<string, string>;
  reasoningByFamily: Record<string, string>;
}

const folder = join(__dirname, "../../configs/engines/parsers");
const families = (existsSync(folder) ? readdirSync(folder) : []).flatMap((file): [string, Parsers][] => {
  const tables: Record<string, Parsers> = require(join(folder, file));
  return Object.values(tables).map((table) => [table.engine, table]);
});
if (families.length === 0) test.skip("parsers by family, which are not there yet", () => {});
else
  test.each(families)(
    "every parser that gpubox offers for %s exists, and none is missing",
    (engine, { tools, reasoning, toolsByFamily, reasoningByFamily }) => {
      const { parsers } = readContract(engine.toLowerCase());
      expect([...tools].sort()).toEqual(parsers?.tool);
      expect([...reasoning].sort()).toEqual(parsers?.reasoning);
      expect(Object.values(toolsByFamily).filter((one) => !parsers?.tool.includes(one))).toEqual([]);
      expect(Object.values(reasoningByFamily).filter((one) => !parsers?.reasoning.includes(one))).toEqual([]);
    },
  );

const scripts = ["assets/ollama/entrypoint.sh", "configs/engines/ollama.ts"]
  .map((file) => join(__dirname, "../..", file))
  .filter(existsSync);

(scripts.length > 0 ? test : test.skip)("the commands of Ollama in gpubox's scripts exist", () => {
  const lines = scripts
    .flatMap((file) => readFileSync(file, "utf8").split("\n"))
    .filter((line) => !/^\s*(#|\/\/)/.test(line));
  const named = lines.flatMap((line) =>
    [...line.matchAll(/\bollama ([a-z]+)(?= [">&|$])/g)].map(([, name]) => name),
  );
  const { commands = [] } = readContract("ollama");
  expect(named).toContain("serve");
  expect(named.filter((name) => !commands.some((command) => command.name === name))).toEqual([]);
});
