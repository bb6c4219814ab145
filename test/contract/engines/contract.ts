import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "../../../configs/kit/problems";

/** How many values follow a flag: a number, none or one (`?`), one or more (`+`), any number (`*`). */
export type Arity = "0" | "1" | "2" | "?" | "+" | "*";

export interface Flag {
  /** All spellings; a name without a dash is a positional argument. */
  names: string[];
  arity: Arity;
  type?: "string" | "int" | "float" | "json";
  /** The values that exist. With `open`, the engine's own parser lets others through for the sake of plugins; gpubox does not. */
  choices?: string[];
  open?: boolean;
  /** Values taken besides those of the type. */
  words?: string[];
  /** One value holds several choices, with this between them. */
  separator?: string;
  /** Spellings that turn it off. */
  negatives?: string[];
  /** Variables of the environment that set the same. */
  env?: string[];
  /** Why the engine refuses it. */
  removed?: string;
  deprecated?: boolean;
}

export interface Variable {
  name: string;
  type: "string" | "int" | "float" | "bool";
  choices?: string[];
}

export interface Endpoint {
  method: string;
  path: string;
}

/** What a release of an engine accepts, as `extract.py` read it, or as its documentation lists it. */
export interface Contract {
  engine: string;
  version: string;
  /** The package that it was read from, or the page that lists it. */
  source: { registry: string; package: string } | { documented: string };
  flags: Flag[];
  env: Variable[];
  endpoints: Endpoint[];
  parsers?: { tool: string[]; reasoning: string[] };
  commands?: { name: string; use: string; flags: Flag[] }[];
}

/** What a plan makes of a model entry. */
export interface Rendered {
  /** The words after the executable. */
  argv: string[];
  env: Record<string, string>;
  endpoints: Endpoint[];
}

export function readContract(name: string): Contract {
  const text = readFileSync(join(__dirname, `${name}.json`), "utf8");
  return { flags: [], env: [], endpoints: [], ...JSON.parse(text) };
}

/** The contracts of an engine's releases, by file name: the pinned one, then older ones that an entry's `image` may choose. */
export function releasesOf(engine: string): string[] {
  const older = readdirSync(__dirname).filter((file) => file.startsWith(`${engine}@`));
  return [engine, ...older.map((file) => file.replace(/\.json$/, "")).sort()];
}

/** Everything in what is rendered that the release does not know; `env` may also hold the variables of `others`. */
export function broken(contract: Contract, rendered: Rendered, others: Contract[] = []): string[] {
  return [
    ...brokenArgv(contract, rendered.argv),
    ...brokenEnv([contract, ...others], rendered.env),
    ...rendered.endpoints
      .filter((wanted) => !contract.endpoints.some((known) => serves(known, wanted)))
      .map(({ method, path }) => `${method} ${path}: no such endpoint`),
  ];
}

function serves(known: Endpoint, wanted: Endpoint): boolean {
  // `{id}`, `{id:path}` and `:id` are parameters.
  const pattern = known.path
    .split("/")
    .map((part) => (/^(\{.*\}|:.*)$/.test(part) ? "[^/]+" : escapeRegExp(part)));
  return known.method === wanted.method && new RegExp(`^${pattern.join("/")}$`).test(wanted.path);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function brokenArgv(contract: Contract, argv: string[]): string[] {
  const [command, ...rest] = argv;
  if (!contract.commands) return brokenFlags(contract.flags, argv);
  const found = contract.commands.find(({ name }) => name === command);
  if (!found) return [`${command ?? "no command"}: no such command`];
  // `create MODEL`: the words after the name are positional.
  const positional = found.use
    .split(" ")
    .slice(1)
    .map((word): Flag => ({ names: [word], arity: "?" }));
  return brokenFlags([...found.flags, ...positional], rest);
}

function brokenFlags(known: Flag[], argv: string[]): string[] {
  const spellings = new Map(
    known.flatMap((flag) => [...flag.names, ...(flag.negatives ?? [])].map((name) => [name, flag] as const)),
  );
  const positional = known.filter(({ names }) => !names[0]!.startsWith("-"));
  const problems: string[] = [];
  const seen = new Set<Flag>();
  for (let at = 0; at < argv.length; ) {
    const word = argv[at++]!;
    if (!isFlag(word)) {
      const next = positional.shift();
      problems.push(
        ...(next ? brokenValues(next, next.names[0]!, [word]) : [`${word}: a value without a flag`]),
      );
      continue;
    }
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const name = equals < 0 ? word : word.slice(0, equals);
    const flag = spellings.get(name);
    if (!flag) {
      const near = nearest(name, spellings.keys());
      problems.push(`${name}: no such flag${near ? `, there is ${near}` : ""}`);
      while (at < argv.length && !isFlag(argv[at]!)) at++;
      continue;
    }
    if (flag.removed !== undefined) problems.push(`${name}: removed: ${flag.removed}`);
    if (flag.deprecated) problems.push(`${name}: deprecated`);
    if (seen.has(flag)) problems.push(`${name}: given twice`);
    seen.add(flag);
    const values = equals < 0 ? [] : [word.slice(equals + 1)];
    const most = flag.negatives?.includes(name) ? 0 : mostValues(flag.arity);
    // The next word is a value even with a dash, where the flag wants one and it is a number.
    while (equals < 0 && values.length < most && at < argv.length && !isFlag(argv[at]!))
      values.push(argv[at++]!);
    problems.push(...brokenValues(flag, name, values));
  }
  return problems;
}

/** A dash and something that is no number: `-1` is a value. */
function isFlag(word: string): boolean {
  return /^-(?![\d.])./.test(word);
}

function mostValues(arity: Arity): number {
  return { "0": 0, "1": 1, "2": 2, "?": 1, "+": Number.POSITIVE_INFINITY, "*": Number.POSITIVE_INFINITY }[
    arity
  ];
}

function brokenValues(flag: Flag, name: string, values: string[]): string[] {
  const turnsOff = flag.negatives?.includes(name) ?? false;
  const least = turnsOff ? 0 : { "0": 0, "1": 1, "2": 2, "?": 0, "+": 1, "*": 0 }[flag.arity];
  if (values.length < least) return [`${name}: ${least - values.length} value missing`];
  if (values.length > (turnsOff ? 0 : mostValues(flag.arity)))
    return [`${name}: takes no ${values.join(" ")}`];
  return values
    .flatMap((value) => (flag.separator ? value.split(flag.separator) : [value]))
    .flatMap((value) => {
      if (flag.words?.includes(value)) return [];
      if (flag.choices && !flag.choices.includes(value))
        return [`${name}: ${value} is none of ${flag.choices.join(", ")}`];
      return hasType(value, flag.type ?? "string") ? [] : [`${name}: ${value} is no ${flag.type}`];
    });
}

function hasType(value: string, type: "string" | "int" | "float" | "json" | "bool"): boolean {
  if (type === "int") return /^-?\d+$/.test(value);
  if (type === "float") return value.trim() !== "" && Number.isFinite(Number(value));
  if (type === "bool") return /^(0|1|true|false)$/i.test(value);
  if (type === "string") return true;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

function brokenEnv(contracts: Contract[], env: Record<string, string>): string[] {
  const known = new Map(contracts.flatMap((contract) => contract.env.map((one) => [one.name, one] as const)));
  return Object.entries(env).flatMap(([name, value]) => {
    const variable = known.get(name);
    if (!variable) {
      const near = nearest(name, known.keys());
      return [`${name}: no such variable${near ? `, there is ${near}` : ""}`];
    }
    if (variable.choices && !variable.choices.includes(value))
      return [`${name}: ${value} is none of ${variable.choices.join(", ")}`];
    return hasType(value, variable.type) ? [] : [`${name}: ${value} is no ${variable.type}`];
  });
}
