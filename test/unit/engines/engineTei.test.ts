import { modelPort } from "../../../configs/stack/instances";
import { gpuHost, refusals, served } from "../../support/engines";

const entry = { engine: "text-embeddings-inference", model: "hf://BAAI/bge-m3", gpu: { devices: [2] } };
const port = String(modelPort("m"));

test("an entry is a whole command line", () => {
  const { container } = served({
    ...entry,
    dtype: "float16",
    pooling: "cls",
    maxBatchTokens: 32768,
    autoTruncate: true,
  });
  expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/with-env.sh"]);
  expect(container.command).toEqual([
    ...["text-embeddings-router", "--model-id", "/srv/gpubox/models/hf/BAAI/bge-m3/main"],
    ...["--served-model-name", "m", "--hostname", "0.0.0.0", "--port", port, "--dtype", "float16"],
    ...["--pooling", "cls", "--max-batch-tokens", "32768", "--auto-truncate", "--json-output"],
  ]);
  expect(container).toMatchObject({ user: "65534:65534", readOnly: true });
});

test.each([
  ["7.5", "tei-75"],
  ["8.0", "tei-80"],
  ["8.6", "tei-86"],
  ["8.9", "tei-89"],
  ["9.0", "tei-90"],
  ["10.0", "tei-100"],
  ["12.0", "tei-120"],
  ["12.1", "tei-121"],
])("compute capability %s runs the image %s, the only one that does not crash", (computeCapability, role) => {
  const host = { gpus: [{ id: 2, memoryGiB: 24, computeCapability }] };
  expect(served(entry, { host }).container.role).toBe(role);
});

test("without a GPU the architecture decides", () => {
  const onCpu = { ...entry, gpu: undefined };
  expect(served(onCpu, { host: {} }).container.role).toBe("tei-cpu");
  expect(served(onCpu, { host: { arch: "arm64" } }).container.role).toBe("tei-cpu-arm64");
});

test("embeddings go to its OpenAI route, reranking to its own", () => {
  expect(served(entry).deployment).toMatchObject({
    litellm_params: { model: "openai/m", api_base: `http://valve-m:${port}/v1` },
    model_info: { mode: "embedding" },
  });
  expect(served({ ...entry, mode: "rerank" }).deployment).toMatchObject({
    litellm_params: { model: "huggingface/m", api_base: `http://valve-m:${port}` },
    model_info: { mode: "rerank" },
  });
});

test.each([
  [
    {},
    "gpu.devices: Each image of text-embeddings-inference is for one compute capability, and the device declares none. Add computeCapability to the device in gpubox:host.gpus: nvidia-smi --query-gpu=compute_cap --format=csv.",
    { gpus: [{ id: 2, memoryGiB: 24 }] },
  ],
  [
    {},
    "gpu.devices: text-embeddings-inference has no image for compute capability 7.0. It has images for 7.5, 8.0, 8.6, 8.9, 9.0, 10.0, 12.0, 12.1; leave `gpu` out to run on the CPU.",
    { gpus: [{ id: 2, memoryGiB: 16, computeCapability: "7.0" }] },
  ],
  [
    { gpu: { devices: [2, 3] } },
    "gpu.devices: text-embeddings-inference uses one device. Name one, and list `instances` for more.",
    gpuHost,
  ],
  [{ extraArgs: ["-p", "80"] }, 'extraArgs: "-p" is set by gpubox. Leave it out.', gpuHost],
])("%j is refused", (change, problem, host) => {
  expect(refusals({ ...entry, ...change }, { host })).toEqual([problem]);
});
