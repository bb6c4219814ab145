import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { ModelLock } from "../../configs/models/facts";
import { packageDir } from "../../platform/project";
import { allocate } from "../support/allocate";
import { locked } from "../support/engines";
import { gpubox, makeProject, removeProject, type TestProject, writeStack } from "../support/project";

const { stack: STACK, port: PORT } = allocate("bad");
const SAFETENSORS = "hf://acme/mystery-7b";
const GGUF = "hf://acme/mystery/m.gguf";

const reference = parse(readFileSync(join(packageDir, "Pulumi.box.yaml"), "utf8")) as {
  config: Record<string, Record<string, unknown>>;
};
const referenceLock = JSON.parse(readFileSync(join(packageDir, "models.lock.json"), "utf8"));
const lock: ModelLock = {
  ...referenceLock,
  [SAFETENSORS]: locked({}, 8e9),
  [GGUF]: { ...locked({}, 8e9), format: "gguf" },
  "hf://acme/m-GGUF": { ...locked(), format: "gguf" },
};

/** The model that is added to the reference box as `x`, the last of it, and what is said of it. */
const cases: [string, Record<string, unknown>, string][] = [
  [
    "a family whose tool calls no parser reads",
    { engine: "vllm", model: SAFETENSORS, tools: true },
    `x.tools: gpubox knows no tool parser of vLLM for "${SAFETENSORS}". Write toolCallParser, one of: apertus,`,
  ],
  [
    "a parser that the release does not know",
    { engine: "vllm", model: SAFETENSORS, toolCallParser: "hermess" },
    'x.toolCallParser: vLLM has no parser "hermess". Did you mean "hermes"?',
  ],
  [
    "a GGUF for an engine that cannot read it",
    { engine: "vllm", model: "hf://acme/m-GGUF" },
    "x.model: vLLM does not read GGUF any more. Use engine: llamacpp for it,",
  ],
  [
    "safetensors for llama.cpp",
    { engine: "llamacpp", model: SAFETENSORS },
    `x.model: llama.cpp reads GGUF only, and "${SAFETENSORS}" is none. Write hf://owner/repo[@revision]/file.gguf,`,
  ],
  [
    "one file for an engine that reads a repository",
    { engine: "vllm", model: `${SAFETENSORS}/model.safetensors` },
    `x.model: "${SAFETENSORS}/model.safetensors" names one file, and this engine reads a whole repository. Write hf://owner/repo[@revision].`,
  ],
  [
    "a context beyond the model's, on a GPU",
    { engine: "vllm", model: SAFETENSORS, maxModelLen: 100_000, gpu: { devices: [2] } },
    "x.maxModelLen: 100000 tokens a request are more than the 40960 that the model was trained for. Write at most 40960.",
  ],
  [
    "a context beyond the model's, on the CPU",
    { engine: "llamacpp", model: GGUF, ctxSize: 200_000, parallel: 1 },
    "x.ctxSize: A context of 200000 tokens is longer than the model's 40960.\n    A longer one needs its positions scaled: ropeScaling: yarn, and ropeScale.\n    Write at most 40960.",
  ],
  [
    "tensor parallelism that does not divide the heads",
    { engine: "sglang", model: SAFETENSORS, gpu: { devices: [1, 2, 3] } },
    "x.tensorParallelSize: 3 does not divide its 32 attention heads. Use one of 1, 2, 4, 8, 16, 32.",
  ],
  [
    "a device that the host does not declare",
    { engine: "llamacpp", model: GGUF, gpu: { devices: [7] } },
    "x.gpu.devices: The host declares no device 7. Use one of: 0, 1, 2, 3, or add it to gpubox:host.gpus.",
  ],
  [
    "two instances that claim one device",
    {
      ...{ engine: "llamacpp", model: GGUF },
      instances: [{ gpu: { devices: [3] } }, { gpu: { devices: [3] } }],
    },
    "x.instances[1].gpu.devices: x-2 claims device 3, which another instance of x has. Give each instance devices of its own.",
  ],
  [
    "a model that is not in the lock",
    { engine: "vllm", model: "hf://acme/other", gpu: { devices: [2], memoryGiB: 8 } },
    "x.model: hf://acme/other is not in models.lock.json. Run `gpubox models lock`, and commit the file.",
  ],
  [
    "a projector that is not in the lock",
    { engine: "llamacpp", model: GGUF, mmproj: "hf://acme/mystery/eyes.gguf" },
    "x.mmproj: hf://acme/mystery/eyes.gguf is not in models.lock.json. Run `gpubox models lock`, and commit the file.",
  ],
  [
    "an adapter that is not in the lock",
    { engine: "vllm", model: SAFETENSORS, loraModules: { sql: "hf://acme/sql" } },
    "x.loraModules.sql: hf://acme/sql is not in models.lock.json. Run `gpubox models lock`, and commit the file.",
  ],
];

describe("gpubox plan, on the reference box", () => {
  let project: TestProject;

  beforeAll(() => {
    project = makeProject(STACK, PORT);
    writeFileSync(join(project.dir, "models.lock.json"), JSON.stringify(lock));
  });
  afterAll(() => removeProject(project));

  const planWith = (models: Record<string, unknown>) => {
    const sections = Object.fromEntries(
      Object.entries(reference.config).map(([name, value]) => [name.replace("gpubox:", ""), value]),
    );
    writeStack(project, { ...sections, models: { ...sections.models, ...models } });
    return gpubox(project, "plan");
  };

  test("the box as it is has a plan", async () => {
    const { code, stderr } = await planWith({});
    expect([code, stderr]).toEqual([0, ""]);
  });

  test.each(cases)("%s is refused with its path and a fix", async (_, model, sentence) => {
    const { code, stderr } = await planWith({ x: model });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`gpubox:models.${sentence}`)]);
    expect(stderr).toContain(`Pulumi.${STACK}.yaml has 1 mistake:`);
  });

  test("a model that does not fit is refused with the sum and what would fit", async () => {
    const gpu = { devices: [0] };
    const x = { engine: "llamacpp", model: GGUF, gpu, ctxSize: 40_960, parallel: 1 };
    const { code, stderr } = await planWith({ x });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        "gpubox:models.x: x needs 13.87 GiB on device 0, and 3.20 GiB of 96.00 GiB are left: 10.67 GiB are missing.",
      ),
    ]);
    expect(stderr).toContain("     13.87 GiB  together\n    Move it to device 2, which has 17.59 GiB left.");
  });
});
