/** How people write a flag, by what each engine's own parser takes. */
import type { Flag } from "./contract";

export interface Spelling {
  /** What stands in a command line. */
  words: string[];
  /** What of it names the flag. */
  name: string;
}

/** What a parser takes beside a flag's own names. `=` is written everywhere, and llama.cpp exits at it. */
const TAKES: Record<string, { underscores?: true; beginnings?: true; joined?: true; dotted?: true }> = {
  llamacpp: { underscores: true },
  vllm: { underscores: true, beginnings: true, joined: true, dotted: true },
  sglang: { beginnings: true, joined: true },
  "tensorrt-llm": {},
  "text-embeddings-inference": { joined: true },
  speaches: {},
};

/** Every spelling of a flag of an engine that has these flags. */
export function spellingsOf(engine: string, flag: Flag, all: Flag[], value = "7"): Spelling[] {
  const takes = TAKES[engine]!;
  const others = all.filter((other) => other !== flag).flatMap(namesOf);
  const names = namesOf(flag).flatMap((name) => [
    name,
    ...(takes.beginnings ? beginningsOf(name, others) : []),
  ]);
  const dashes = names.flatMap((name) =>
    takes.underscores && name.startsWith("--") ? [name, `--${name.slice(2).replaceAll("-", "_")}`] : [name],
  );
  return [...new Set(dashes)].flatMap((name) => [
    { words: [name, value], name },
    { words: [`${name}=${value}`], name },
    { words: ["--unknown-flag", name, value], name },
    ...(takes.joined && name.length === 2 ? [{ words: [`${name}${value}`], name }] : []),
    ...(takes.dotted && name.startsWith("--")
      ? [
          { words: [`${name}.key`, "7"], name: `${name}.key` },
          { words: [`${name}.key_one.b+=7`], name: `${name}.key_one.b+` },
        ]
      : []),
  ]);
}

function namesOf({ names, negatives = [] }: Flag): string[] {
  return [...names, ...negatives].filter((name) => name.startsWith("-"));
}

/** Every beginning that no other flag has, and no flag is. */
function beginningsOf(name: string, others: string[]): string[] {
  const least = name.startsWith("--") ? 3 : 2;
  return Array.from({ length: Math.max(0, name.length - least) }, (_, index) =>
    name.slice(0, least + index),
  ).filter((beginning) => !others.some((other) => other.startsWith(beginning)));
}
