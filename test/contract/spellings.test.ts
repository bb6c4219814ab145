import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { engines, type ModelConfig, saidBy } from "../../configs/engines";
import sglangFlags from "../../configs/engines/flags/sglang.json";
import vllmFlags from "../../configs/engines/flags/vllm.json";
import { givenFlags } from "../../configs/engines/spelling";
import { cases } from "./engines/cases";
import { type Flag, readContract } from "./engines/contract";
import { render } from "./engines/render";
import { type Spelling, spellingsOf } from "./engines/spellings";

/** Engines that take `extraArgs`. */
const served = Object.entries(engines)
  .filter(([name, engine]) => engine.container && !["ollama", "container"].includes(name))
  .map(([name]) => name);

/** Flags that gpubox writes and an entry may give too: none of them is the box's business. */
const FREE: Record<string, string[]> = {
  llamacpp: ["--fit", "--jinja", "--metrics", "--no-webui"],
  "text-embeddings-inference": ["--json-output"],
  vllm: [
    ...["--enable-prompt-tokens-details", "--disable-access-log-for-endpoints"],
    ...["--enable-sleep-mode", "--middleware"],
    // Only an entry with nodes writes them, and refuses them by itself: test/unit/checks/nodes.test.ts.
    ...["--distributed-executor-backend", "--nnodes", "--node-rank", "--master-addr", "--master-port"],
    "--headless",
  ],
  sglang: ["--nnodes", "--node-rank", "--dist-init-addr"],
};

const yarn = { rope_type: "yarn", factor: 4 };

/** Keys that decide about memory, which `extraArgs` may say too: a flag, its value, and what the planner reads. */
const SHARED: [engine: string, key: string, flag: string, value: string, read: unknown][] = [
  ["llamacpp", "nCpuMoe", "--n-cpu-moe", "28", 28],
  ["llamacpp", "overrideTensor", "--override-tensor", "exps=CPU", ["exps=CPU"]],
  ["llamacpp", "ubatchSize", "--ubatch-size", "1024", 1024],
  ["llamacpp", "ropeScaling", "--rope-scaling", "yarn", "yarn"],
  ["llamacpp", "ropeScale", "--rope-scale", "2.5", 2.5],
  ["llamacpp", "yarnOrigCtx", "--yarn-orig-ctx", "32768", 32768],
  ["llamacpp", "tensorSplit", "--tensor-split", "3,1", [3, 1]],
  ["llamacpp", "splitMode", "--split-mode", "row", "row"],
  ["llamacpp", "nGpuLayersDraft", "--spec-draft-ngl", "12", 12],
  ["llamacpp", "cacheTypeKDraft", "--spec-draft-type-k", "q8_0", "q8_0"],
  ["llamacpp", "cacheTypeVDraft", "--spec-draft-type-v", "q8_0", "q8_0"],
  ["vllm", "dataParallelSize", "--data-parallel-size", "2", 2],
  ["vllm", "blockSize", "--block-size", "32", 32],
  ["vllm", "cpuOffloadGb", "--cpu-offload-gb", "7.5", 7.5],
  ["vllm", "kvOffloadingSize", "--kv-offloading-size", "16", 16],
  ["vllm", "hfOverrides", "--hf-overrides", JSON.stringify({ rope_scaling: yarn }), { rope_scaling: yarn }],
  ["sglang", "dataParallelSize", "--data-parallel-size", "2", 2],
  ["sglang", "attnDpSize", "--attn-dp-size", "2", 2],
  ["sglang", "pipelineParallelSize", "--pipeline-parallel-size", "2", 2],
  ["sglang", "cpuOffloadGb", "--cpu-offload-gb", "7", 7],
  ["sglang", "jsonModelOverrideArgs", "--json-model-override-args", '{"a":1}', { a: 1 }],
];

/** Switches: each name of either kind says what the other one does not. */
const SWITCHES: [engine: string, key: string, flag: string][] = [
  ["llamacpp", "cpuMoe", "--cpu-moe"],
  ["llamacpp", "swaFull", "--swa-full"],
  ["llamacpp", "kvUnified", "--kv-unified"],
  ["llamacpp", "kvOffload", "--kv-offload"],
];

function sharedFlags(name: string): string[] {
  return [...SHARED, ...SWITCHES].flatMap(([engine, , flag]) => (engine === name ? [flag] : []));
}

const first = (name: string) => cases[name]![0]!;

/** What gpubox says of an entry with these words and variables. */
function problems(name: string, more: { extraArgs?: string[]; env?: Record<string, string> }): string[] {
  const one = first(name);
  return render(name, { ...one, entry: { ...one.entry, ...more } }).problems.map(
    ({ path, what, fix }) => `${path.replace("gpubox:models.model.", "")}: ${what} ${fix}`,
  );
}

/** The flags that gpubox writes for any of an engine's cases, as the contract has them. */
function writtenFlags(name: string): Flag[] {
  const { flags } = readContract(name);
  const words = cases[name]!.flatMap((one) => {
    const own = new Set((one.entry.extraArgs as string[] | undefined) ?? []);
    return render(name, one).argv.filter((word) => !own.has(word));
  });
  return flags.filter(({ names, negatives = [] }) =>
    [...names, ...negatives].some((word) => word.startsWith("-") && words.includes(word)),
  );
}

const owned = served.flatMap((name) =>
  writtenFlags(name)
    .filter(
      ({ names, negatives = [] }) =>
        ![...(FREE[name] ?? []), ...sharedFlags(name)].some((free) =>
          [...names, ...negatives].includes(free),
        ),
    )
    .map((flag): [string, string, Flag] => [name, flag.names[0]!, flag]),
);

test.each(owned)("%s %s is refused by its plain name", (name, flag) => {
  expect(problems(name, { extraArgs: [flag, "1"] })).toEqual([
    expect.stringMatching(/^extraArgs: .* is set by gpubox/),
  ]);
});

test.each(served)(
  "%s: every spelling of a flag that gpubox writes is refused with the same advice",
  (name) => {
    const { flags } = readContract(name);
    const mine = owned.filter(([engine]) => engine === name).map(([, , flag]) => flag);
    const plain = new Map(mine.map((flag) => [flag, problems(name, { extraArgs: [flag.names[0]!] })[0]!]));
    const spelled = fc
      .constantFrom(...mine)
      .chain((flag) =>
        fc.record({ flag: fc.constant(flag), spelling: fc.constantFrom(...spellingsOf(name, flag, flags)) }),
      );
    fc.assert(
      fc.property(spelled, ({ flag, spelling }: { flag: Flag; spelling: Spelling }) => {
        const advice = plain.get(flag)!.replace(/^.* is set by gpubox\. /, "");
        expect(problems(name, { extraArgs: spelling.words })).toEqual([
          `extraArgs: "${spelling.name}" is set by gpubox. ${advice}`,
        ]);
      }),
      { numRuns: 120 },
    );
  },
);

/** What the planner reads of an entry with these words. */
function readKey(name: string, key: string, extraArgs: string[]): unknown {
  const schema = engines[name as keyof typeof engines].schema;
  const entry = schema.parse({ engine: name, ...first(name).entry, extraArgs }) as ModelConfig;
  return (saidBy(entry) as unknown as Record<string, unknown>)[key];
}

test.each(SHARED)(
  "%s: the planner reads %s from every spelling of its flag",
  (name, key, plain, value, read) => {
    const { flags } = readContract(name);
    const flag = flags.find(({ names }) => names.includes(plain))!;
    const whole = spellingsOf(name, flag, flags, value).filter((one) => !one.name.includes("."));
    for (const { words } of whole) expect([words, readKey(name, key, words)]).toEqual([words, read]);
  },
);

test.each(SWITCHES)(
  "%s: the planner reads %s from every name that turns it on or off",
  (name, key, plain) => {
    const { names, negatives = [] } = readContract(name).flags.find((flag) => flag.names.includes(plain))!;
    for (const word of names) expect(readKey(name, key, ["--temp", "0.5", word])).toBe(true);
    for (const word of negatives) expect(readKey(name, key, [word, "--no-slots"])).toBe(false);
  },
);

test("a variable of llama.cpp's or TEI's that sets such a flag is refused, any other is not", () => {
  for (const name of ["llamacpp", "text-embeddings-inference"]) {
    const variables = owned
      .filter(([engine]) => engine === name)
      .flatMap(([, , flag]) => flag.env ?? variableOf(name, flag));
    expect(variables.length).toBeGreaterThan(5);
    for (const variable of variables)
      expect(problems(name, { env: { [variable]: "1" } })).toEqual([
        `env.${variable}: ${variable} is set by gpubox. Use the entry's own key for it, or leave it out.`,
      ]);
  }
  expect(problems("llamacpp", { env: { LLAMA_ARG_THREADS_HTTP: "4" } })).toEqual([]);
  expect(problems("text-embeddings-inference", { env: { PAYLOAD_LIMIT: "4" } })).toEqual([]);
});

function variableOf(name: string, { names }: Flag): string[] {
  const known = readContract(name).env.map((variable) => variable.name);
  const variable = names[0]!.slice(2).replaceAll("-", "_").toUpperCase();
  return known.includes(variable) ? [variable] : [];
}

test.each([
  ["vllm", vllmFlags.flags],
  ["sglang", sglangFlags.flags],
] as const)("words are the flags of %s that Python's own argparse finds in them", (_, flags) => {
  const names = flags.flatMap(({ names, negatives = [] }: { names: string[]; negatives?: string[] }) => [
    ...names,
    ...negatives,
  ]);
  const words = [...new Set(names.flatMap((name) => [...name].map((_, length) => name.slice(0, length + 1))))]
    .filter((word, index) => word.replaceAll("-", "") !== "" && (index % 3 === 0 || names.includes(word)))
    .flatMap((word) => (word.startsWith("--") ? [word] : [word, `${word}=1`, `${word}x`]));
  const { stdout, stderr } = spawnSync("python3", [join(__dirname, "engines/abbreviations.py")], {
    input: JSON.stringify({ flags, words }),
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const found: (string | null)[] = JSON.parse(stdout);
  const parser = { flags: [...flags], beginnings: true, joined: true };
  const ours = words.map((word) => givenFlags([word], parser)[0]?.flag.names[0] ?? null);
  const differ = words.flatMap((word, index) =>
    found[index] === null || found[index] === ours[index] ? [] : [[word, found[index], ours[index]]],
  );
  expect(found.filter((name) => name !== null).length).toBeGreaterThan(flags.length);
  expect(differ).toEqual([]);
});
