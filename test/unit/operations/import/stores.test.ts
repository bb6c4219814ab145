import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { importStack } from "../../../../operations/import/importStack";
import { shellWords } from "../../../../operations/import/words";
import { imported, lost } from "../../../support/imported";

const swap = `
macros:
  server: /app/llama-server --port \${PORT}
models:
  "qwen3:8b":
    cmd: |
      \${server}
      -m /models/q.gguf \\
      # as long as it may be
      --ctx-size 16384 -ngl 99
    ttl: 600
    aliases: [qwen]
    env: ["CUDA_VISIBLE_DEVICES=1"]
    filters: { strip_params: temperature }
  embed: { cmd: "\${server} -m /models/e.gguf --embeddings" }
  vl: { cmd: "docker run --rm --gpus all -v /mnt/m:/m vllm/vllm-openai --model /m/vl" }
groups:
  always: { swap: false, members: [embed] }
`;

test("llama-swap's models are loaded on demand, those of one group by turns", async () => {
  const made = await imported({ "config.yaml": swap });
  expect(made.values.models).toEqual({
    "qwen3:8b": {
      ...{ engine: "llamacpp", model: "file:///models/q.gguf", ctxSize: 16_384, nGpuLayers: 99 },
      ...{ aliases: ["qwen"], start: "ondemand", slot: "llama-swap", idleSeconds: 600 },
      gpu: { devices: [1] },
    },
    embed: {
      ...{ engine: "llamacpp", model: "file:///models/e.gguf", mode: "embedding", start: "ondemand" },
      ...{ idleSeconds: 0, gpu: { devices: [0] } },
    },
    vl: { engine: "vllm", model: "file:///mnt/m/vl", start: "manual", gpu: { devices: [0] } },
  });
  expect(Object.keys(lost(made))).toEqual(["models.qwen3:8b.filters"]);
  expect(made.values.gateway).toEqual({ port: 8180 });
});

test("a macro that nothing defines is told with its place", async () => {
  await expect(imported({ "config.yaml": swap.replace(`\${server} -m`, `\${servr} -m`) })).rejects.toThrow(
    `config.yaml:15:12: nothing defines the macro \${servr}. Define it under macros.`,
  );
});

test("each model in Ollama's directory is an entry, and the box gets the files as links", async () => {
  const made = await imported(
    {
      "models/manifests/registry.ollama.ai/library/qwen3/8b": "{}",
      "models/manifests/registry.ollama.ai/library/nomic-embed-text/latest": "{}",
      "models/manifests/hf.co/org/q/Q4_K_M": "{}",
    },
    { source: "models" },
  );
  expect(made.values.models).toEqual({
    "hf.co/org/q:Q4_K_M": { engine: "ollama", model: "hf.co/org/q:Q4_K_M" },
    "nomic-embed-text": {
      ...{ engine: "ollama", model: "nomic-embed-text:latest", mode: "embedding", start: "manual" },
    },
    "qwen3:8b": { engine: "ollama", model: "qwen3:8b", start: "manual" },
  });
  expect(made.steps[0]).toMatch(/cp -al \S+\/models\/\. \/srv\/gpubox\/models\/ollama\//);
});

test("a running Ollama says what it has", async () => {
  const server = createServer((_, response) =>
    response.end(JSON.stringify({ models: [{ name: "qwen3:8b" }] })),
  );
  await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { config } = await importStack([url], { stack: "test" });
  expect(config.models["qwen3:8b"]).toMatchObject({ engine: "ollama", model: "qwen3:8b" });
  server.close();
  await expect(importStack([url], { stack: "test" })).rejects.toThrow("does not list models");
});

test("a hub's cache gives a GGUF to llama.cpp and safetensors to vLLM, by their commits", async () => {
  const repository = (name: string, commit: string, ...files: string[]) => ({
    [`hub/models--org--${name}/refs/main`]: commit,
    ...Object.fromEntries(files.map((file) => [`hub/models--org--${name}/snapshots/${commit}/${file}`, ""])),
  });
  const made = await imported(
    {
      ...repository("Big", "c1", "config.json", "model.safetensors"),
      ...repository(
        "Q-GGUF",
        "c2",
        "Q4/q-00001-of-00002.gguf",
        "Q4/q-00002-of-00002.gguf",
        "mmproj-f16.gguf",
      ),
      ...repository("other", "c3", "README.md"),
    },
    { source: "hub" },
  );
  expect(made.values.models).toEqual({
    big: { engine: "vllm", model: "hf://org/Big@c1" },
    q: {
      ...{ engine: "llamacpp", model: "hf://org/Q-GGUF@c2/Q4/q-00001-of-00002.gguf", start: "manual" },
      mmproj: "hf://org/Q-GGUF@c2/mmproj-f16.gguf",
    },
  });
  expect(Object.keys(lost(made))).toEqual(["org/other"]);
  expect(made.steps[0]).toContain("cp -alL");
  expect(made.steps.at(-1)).toBe("  2. npx gpubox up --stack test");
});

test.each([
  ['a \'b c\' "d \\"e\\"" f\\ g', ["a", "b c", 'd "e"', "f g"]],
  ['--x={"a":1} \'{"b": 2}\'', ["--x={a:1}", '{"b": 2}']],
  ["a \\\n  b\n# no word\nc", ["a", "b", "c"]],
])("%j is taken apart as a shell does", (text, words) => {
  expect(shellWords(text)).toEqual(words);
});
