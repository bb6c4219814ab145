import { engines } from "../../configs/engines";
import type { Feature, KnownFrom } from "../../configs/engines/features";
import { markdownTable } from "../markdown";
import { type AnyEngine, COLUMNS, type Column, type Facts, factsOf, TABLES } from "./featureColumns";
import { routesMarkdown } from "./routes";

/** A cell of the matrix; `test`: the path of the test that showed it. */
export type Cell = { text: string } & (
  | { known: KnownFrom | "gpubox" }
  | { known: "run here" | "recorded"; test: string }
);

/**
 * One cell.
 *
 * @throws Error where neither the registry nor the engine says anything, or where nothing says how that is known.
 */
function cellOf(feature: Feature, facts: Facts): Cell {
  const { features } = facts.engine;
  const column = COLUMNS[feature];
  const said = features.says?.[feature];
  const text = said?.cell ?? column.from(facts);
  if (!text) throw new Error(`Nothing says what ${facts.name} has of ${feature}: add it to its features.`);
  const whole = text + (column.more?.(facts) ?? "");
  for (const [known, claims] of [
    ["run here", features.ran],
    ["recorded", features.recorded],
  ] as const) {
    const test = Object.entries(claims ?? {}).find(([, claimed]) => claimed.includes(feature))?.[0];
    if (test) return { text: whole, known, test };
  }
  // What gpubox does not offer needs no proof, whatever the server has.
  const known = said ? said.known : text === "no" ? "gpubox" : (column.known ?? features.known);
  if (!known) throw new Error(`Nothing says how ${feature} of ${facts.name} is known.`);
  return { text: whole, known };
}

/** Every cell of the matrix by engine and feature. Engines that run no container have none of what containers have. */
export function featureCells(
  registry: Record<string, unknown> = engines,
): Record<string, Partial<Record<Feature, Cell>>> {
  return Object.fromEntries(
    Object.entries(registry as Record<string, AnyEngine>).map(([name, engine]) => {
      const facts = factsOf(name, engine);
      const columns = (Object.keys(COLUMNS) as Feature[]).filter(
        (feature) => engine.container || !TABLES[COLUMNS[feature].table].containers,
      );
      return [name, Object.fromEntries(columns.map((feature) => [feature, cellOf(feature, facts)] as const))];
    }),
  );
}

const INTRODUCTION = `# What each engine has

Made by \`npm run features\` from the engines in [configs/engines](../configs/engines): change it there. It says what gpubox makes of an
engine, and after it how that is known:

- **run here**: a test has run it with a real server, on the CPU; the link is that test.
- **recorded**: a test has asked a recording server in its place through edge, gateway and valve; the link is that test.
- **contract**: the words that gpubox gives the engine (flags, variables, routes, parsers) are checked against its released code, see
  [decision 0013](decisions/0013-contracts-are-read-from-released-code.md). No server of it has answered here.
- **vendor**: what its documentation or source says. Nothing here has checked it.
- **gpubox**: gpubox itself decides that there is no way to it, whatever the server has.

Nothing was run on a GPU, and what was run came from the recipes in [images](../images/README.md), not from the official images.

**native**: the engine's own route. **translated**: LiteLLM makes chat completions of it; that was run, with tools and image parts,
against a [recording stub](../test/e2e/llamacpp.test.ts). **passed on**: the server decides. A word in \`code\` is a key of the entry, a
flag for \`extraArgs\`, or the name of an image.
Whether a model can do it is another question: tools, reasoning and vision want a model that was made for them.
`;

/** docs/features.md: a table for each group of features, with a row for each engine, and why each path is reached as it is. */
export function featuresMarkdown(registry: Record<string, unknown> = engines): string {
  const cells = featureCells(registry);
  const tables = (Object.keys(TABLES) as Column["table"][]).map((title) => {
    const columns = (Object.keys(COLUMNS) as Feature[]).filter((one) => COLUMNS[one].table === title);
    const rows = Object.entries(cells)
      .filter(([, row]) => columns.every((one) => row[one]))
      .map(([name, row]) => [name, ...columns.map((one) => rendered(row[one]!))]);
    const note = TABLES[title].containers
      ? "\nOnly engines that run as containers of the box. [images/official.json](../images/official.json) says what each image's name stands for.\n"
      : "";
    const more = "about" in TABLES[title] ? `\n${TABLES[title].about}\n` : "";
    return `## ${title}\n${note}${more}\n${markdownTable(["engine", ...columns.map((one) => COLUMNS[one].title)], rows)}\n`;
  });
  return [
    INTRODUCTION,
    routesMarkdown(),
    ...tables,
    `## Why\n\n${markdownTable(["engine", "path", "how", "why"], reasons(registry))}\n`,
  ].join("\n");
}

function rendered(cell: Cell): string {
  return "test" in cell ? `${cell.text} ([${cell.known}](../${cell.test}))` : `${cell.text} (${cell.known})`;
}

function reasons(registry: Record<string, unknown>): string[][] {
  return Object.entries(registry as Record<string, AnyEngine>).flatMap(([name, { protocols = [] }]) =>
    protocols.map(({ path, how, why }) => [name, path, how === "none" ? "no" : how, why]),
  );
}
