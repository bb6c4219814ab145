import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelLock } from "../../../configs/models/facts";
import { packageDir } from "../../../platform/project";
import { locked } from "../../support/engines";
import { Walk } from "../../support/walk";

/** How many files a stranger may have to open. */
const MOST = 15;

const source = "file:///srv/models/walked.gguf";

/** An entry on a GPU, which takes the longest way. Each of its values occurs nowhere else in the box. */
const entry = {
  engine: "llamacpp",
  model: source,
  threads: 7879,
  memoryMiB: 7919,
  pidsLimit: 7907,
  readySeconds: 7901,
  env: { WALKED: "walked-env" },
  // The second of two values: a first one is compared with what the planner reads.
  extraArgs: ["--control-vector-layer-range", "1", "7877"],
  gpu: { devices: [0] },
  replacement: "stop-first",
};

const marks = ["walked.gguf", 7879, 7919, 7907, 7901, "walked-env", "7877"];

/** What `gpubox models lock` would say of the file. */
const lock: ModelLock = {
  [source]: {
    ...locked({ architecture: "qwen3" }, 5_000_000_000),
    format: "gguf",
    files: [{ path: "model.gguf", bytes: 5_000_000_000 }],
    quantization: "Q4_K_M",
  },
};

const config = {
  "gpubox:host": JSON.stringify({
    docker: "unix:///nonexistent/docker.sock",
    // Not the place of a box that runs on this machine.
    dataDir: "/nonexistent/box",
    gpus: [{ id: 0, memoryGiB: 24, computeCapability: "8.9" }],
  }),
};

const secrets = {
  "gpubox:masterKey": "sk-PLANTED-master-0123456789abcdef",
  "gpubox:saltKey": "sk-PLANTED-salt-0123456789abcdef",
  "gpubox:cachePassword": "PLANTED-cache",
  "gpubox:databasePassword": "PLANTED-database",
};

/** Runs index.ts as a preview does, and returns the files that the entry went through. */
async function walked(model: Record<string, unknown>): Promise<string[]> {
  jest.resetModules();
  const pulumi: typeof import("@pulumi/pulumi") = require("@pulumi/pulumi");
  const walk = new Walk(marks, Object.keys(entry));
  walk.watch();
  jest.doMock("../../../platform/stack/modelLock", () => ({ readModelLock: () => lock }));
  process.env.PULUMI_CONFIG_SECRET_KEYS = JSON.stringify(Object.keys(secrets));
  pulumi.runtime.setAllConfig({ ...config, "gpubox:models": JSON.stringify({ walked: model }), ...secrets });
  const { registered }: typeof import("../../support/mocks") = require("../../support/mocks");
  const all = await registered(() => walk.load("index.ts"), true);
  expect(all.map(({ inputs }) => inputs.name)).toContainEqual(expect.stringMatching("-backend-walked"));
  return walk.found();
}

/** The numbered list of CONTRIBUTING.md. */
function told(): string[] {
  const text = readFileSync(join(packageDir, "CONTRIBUTING.md"), "utf8");
  return [...text.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, file]) => file!);
}

test(`an entry of llama.cpp goes through at most ${MOST} files to its container, and CONTRIBUTING.md names them`, async () => {
  const files = await walked(entry);
  expect(files.length).toBeLessThanOrEqual(MOST);
  expect(files).toContain("configs/engines/llamacpp.ts");
  expect(told().sort()).toEqual(files);
});

test("an entry that a stand-in replaces goes through two more", async () => {
  const files = await walked({ ...entry, replacement: "start-first" });
  expect(files).toEqual([...told(), "configs/kit/steps.ts", "configs/plan/beside.ts"].sort());
});

test("a file that puts an entry together is seen", async () => {
  const { gpu, ...shared } = entry;
  const files = await walked({ ...shared, instances: [{ gpu }] });
  expect(files).toEqual([...told(), "configs/stack/instances.ts"].sort());
});
