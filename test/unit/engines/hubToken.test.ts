import { gpuHost, refusals } from "../../support/engines";

const entries: Record<string, Record<string, unknown>> = {
  llamacpp: { model: "file:///srv/models/m.gguf" },
  vllm: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  sglang: { model: "file:///srv/models/m", gpu: { devices: [0] } },
  "text-embeddings-inference": { model: "file:///srv/models/m" },
};

const read = (place: string, as: string) =>
  `${place}: Everybody who may use Docker could read the token of "${as}". Leave it out: \`up\` fetches what servers need. Its token is a secret: pulumi config set --secret gpubox:hfToken.`;

test.each([
  ["llamacpp", ["--hf-token", "x"], "extraArgs[1]", "--hf-token"],
  ["llamacpp", ["--no-warmup", "--hf_token", "x"], "extraArgs[2]", "--hf_token"],
  ["llamacpp", ["-hft", "x"], "extraArgs[1]", "-hft"],
  ["vllm", ["--hf-token=x"], "extraArgs[0]", "--hf-token"],
  ["vllm", ["--hf_tok", "x"], "extraArgs[1]", "--hf_tok"],
  ["vllm", ["--hf-token", "hf_PLANTED0123456789abcdef"], "extraArgs[1]", "--hf-token"],
  ["text-embeddings-inference", ["--hf-token", "x"], "extraArgs[1]", "--hf-token"],
])("%s: the hub's token in %j is refused however short, and once", (engine, extraArgs, place, as) => {
  expect(refusals({ engine, ...entries[engine], extraArgs }, { host: gpuHost })).toEqual([read(place, as)]);
});

test.each(Object.keys(entries))("%s: so is the variable that holds it", (engine) => {
  const env = { HF_TOKEN: "x" };
  expect(refusals({ engine, ...entries[engine], env }, { host: gpuHost })).toEqual([
    read("env.HF_TOKEN", "HF_TOKEN"),
  ]);
});
