import { gpuHost, refusals } from "../../support/engines";

const entries: Record<string, Record<string, unknown>> = {
  llamacpp: { model: "file:///srv/models/m.gguf" },
  vllm: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  sglang: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  "tensorrt-llm": { model: "file:///srv/models/m", gpu: { devices: [0] } },
  "text-embeddings-inference": { model: "file:///srv/models/m" },
};

const said = (engine: string, extraArgs: string[], more = {}) =>
  refusals({ engine, ...entries[engine], ...more, extraArgs }, { host: gpuHost });

test.each([
  ["vllm", ["--seed"], 'extraArgs[0]: "--seed" wants a value. Write its value as the next word of the list.'],
  [
    "vllm",
    ["--seed", "--disable-log-stats"],
    'extraArgs[0]: "--seed" wants a value. Write its value as the next word of the list.',
  ],
  ["vllm", ["--seed", "abc"], 'extraArgs[0]: The value of "--seed" is no number. Write a whole number.'],
  [
    "vllm",
    ["--disable-log-stats=true"],
    'extraArgs[0]: "--disable-log-stats" is a switch and takes no value. Write "--disable-log-stats" alone.',
  ],
  [
    "vllm",
    ["--seed", "1", "2"],
    "extraArgs[2]: No flag before it takes this word. Write its flag before it, each word as one of the list, or leave it out.",
  ],
  [
    "vllm",
    ["-tp2"],
    "extraArgs[0]: vllm 0.33.0 has no flag -tp2, and its server would end at its start. Did you mean -tp? Or name an image that has it: image: { repository, tag }.",
  ],
  [
    "sglang",
    ["--schedule-policy", "fifo"],
    expect.stringMatching(/^extraArgs\[0\]: "--schedule-policy" does not take this value\. Use one of: /),
  ],
  [
    "llamacpp",
    ["--temp=0.5"],
    'extraArgs[0]: The server takes no value behind the = of "--temp". Write two words: "--temp", then its value.',
  ],
])("%s: %j is refused, because its server would end at its start", (engine, extraArgs, refusal) => {
  expect(said(engine, extraArgs)).toEqual([refusal]);
});

test.each(Object.keys(entries))("%s: two words in one, and a value without a flag, are refused", (engine) => {
  expect(said(engine, ["--some-flag PLANTED"])).toEqual([
    'extraArgs[0]: "--some-flag …" is one word for the server, which has no such flag. Write two words: "--some-flag", then its value.',
  ]);
  expect(said(engine, ["PLANTED"])).toEqual([
    "extraArgs[0]: No flag before it takes this word. Write its flag before it, each word as one of the list, or leave it out.",
  ]);
});

test.each([
  ["vllm", ["--seed", "-1", "--max-log-len", "1k", "-O3", "--compilation-config", '{"level": 3}']],
  ["vllm", ["--compilation-config.level", "3", "--override-generation-config", '{"a": "-b c"}']],
  ["vllm", ["--allowed-media-domains", "a.example", "b.example", "--disable-log-stats"]],
  ["sglang", ["--random-seed=1_000", "--uvicorn-access-log-exclude-prefixes", "--log-requests"]],
  ["llamacpp", ["--temp", "0.5", "--control-vector-layer-range", "1", "2", "--reasoning-budget", "-1"]],
  ["text-embeddings-inference", ["--payload-limit", "64"]],
])("%s: %j passes", (engine, extraArgs) => {
  expect(said(engine, extraArgs)).toEqual([]);
});

test("an image of the entry's own may read what follows a flag in another way", () => {
  const image = { repository: "acme/vllm", tag: "nightly" };
  expect(said("vllm", ["--seed", "1", "2", "--disable-log-stats", "x"], { image })).toEqual([]);
});

const HTTP = "The gateway asks the server by plain HTTP at the model's port, and would not reach it.";

test.each([
  ["vllm", ["--ssl-keyfile", "/srv/x/key.pem"], `"--ssl-keyfile": ${HTTP}`],
  ["vllm", ["--uds=/run/x"], `"--uds": ${HTTP}`],
  ["vllm", ["--node-rank", "1"], '"--node-rank": Here a server is one container'],
  ["sglang", ["--grpc-mode"], `"--grpc-mode": ${HTTP}`],
  ["sglang", ["--disaggregation-mode", "prefill"], '"--disaggregation-mode": Here a server is one container'],
  ["llamacpp", ["--api_prefix", "/x"], `"--api_prefix": ${HTTP}`],
  ["llamacpp", ["-hf", "a/b"], '"-hf": The server would look for another model than the entry\'s'],
  ["llamacpp", ["--list-devices"], '"--list-devices": The server would print something and end.'],
])("%s: %j is refused once, because nobody would reach the entry's model", (engine, extraArgs, what) => {
  expect(said(engine, extraArgs)).toEqual([expect.stringContaining(`extraArgs: ${what}`)]);
});

test("so are llama.cpp's variables for them, and a cluster of one passes", () => {
  expect(refusals({ engine: "llamacpp", ...entries.llamacpp, env: { LLAMA_ARG_API_PREFIX: "/x" } })).toEqual([
    `env.LLAMA_ARG_API_PREFIX: ${HTTP} Leave it out; gpubox:gateway.tls is for clients.`,
  ]);
  expect(said("vllm", ["--nnodes", "1", "--node-rank=0"])).toEqual([]);
});
