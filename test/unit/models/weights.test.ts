import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StepPlan } from "../../../configs/kit/containerPlan";
import type { LockedPart } from "../../../configs/models/facts";
import { ADAPTER, TRANSFORMERS } from "../../../configs/models/repository";
import { type WeightsOptions, weightsStep } from "../../../configs/models/weights";
import { packageDir } from "../../../platform/project";
import { gpuHost, locked, served } from "../../support/engines";

const options: WeightsOptions = {
  modelsDir: "/srv/gpubox/models",
  repo: "Qwen/Qwen3-0.6B",
  wanted: { revision: "c0ffee", files: [{ path: "model.safetensors", bytes: 5, sha256: "ab" }] },
  endpoint: "https://huggingface.co",
  hasToken: false,
  image: "gpubox/gateway:1",
  fetchScript: "print('it''s')",
};

describe("the step that brings weights", () => {
  test("reads its program and what to fetch from its standard input, into a directory that the commit names", () => {
    const { script, stdin } = weightsStep(options);
    expect(script).toBe(
      "docker run --rm -i --user 0 --pids-limit 1024 --label gpubox.weights=Qwen/Qwen3-0.6B --entrypoint python3 " +
        "-v /srv/gpubox/models:/srv/gpubox/models gpubox/gateway:1 " +
        "-c 'import json, sys; exec(json.loads(sys.stdin.readline()))'",
    );
    expect(stdin?.slice(0, 2).map((line) => JSON.parse(line as string))).toEqual([
      "print('it''s')",
      {
        endpoint: "https://huggingface.co",
        repo: "Qwen/Qwen3-0.6B",
        revision: "c0ffee",
        directory: "/srv/gpubox/models/hf/Qwen/Qwen3-0.6B/c0ffee",
        files: [{ path: "model.safetensors", bytes: 5, sha256: "ab" }],
        progressSeconds: 5,
      },
    ]);
  });

  test("a token is the third line of its input, and stays a name until the step runs", () => {
    expect(weightsStep({ ...options, hasToken: true }).stdin?.slice(2)).toEqual([
      { secret: "hfToken", as: "raw" },
      "\n",
    ]);
  });

  test("has one name for the same files, and another for others", () => {
    const other = { ...options.wanted, revision: "decaf" };
    const name = weightsStep(options).name;
    expect(weightsStep({ ...options, hasToken: true }).name).toBe(name);
    expect(weightsStep({ ...options, wanted: other }).name).not.toBe(name);
  });
});

describe("a model that is locked", () => {
  const lock = locked();
  const commit = `/srv/gpubox/models/hf/Qwen/Qwen3-8B/${lock.revision}`;
  const qwen = { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0] } };
  const sharded = {
    ...lock,
    format: "gguf" as const,
    files: ["Q4/big-00001-of-00002.gguf", "Q4/big-00002-of-00002.gguf"].map((path) => ({ path, bytes: 5 })),
  };
  const big = { engine: "llamacpp", model: "hf://a/b/Q4/big-00001-of-00002.gguf" };

  test("is served from the folder that its commit names, and brought there by the lock's files", () => {
    const { container, weights } = served(qwen, { lock });
    expect(container.command).toContain(commit);
    expect(container.mounts).toContainEqual({
      kind: "directory",
      source: commit,
      target: commit,
      readOnly: true,
    });
    const { revision, files } = lock;
    expect(weights).toEqual([
      weightsStep({
        modelsDir: "/srv/gpubox/models",
        repo: "Qwen/Qwen3-8B",
        wanted: { revision, files },
        endpoint: "https://huggingface.co",
        hasToken: false,
        image: "image/gateway",
        fetchScript: readFileSync(join(packageDir, "assets/weights/fetch.py"), "utf8"),
      }),
    ]);
  });

  test("has the token, if any, only on its step's standard input", () => {
    const [step] = served(qwen, { lock, secrets: { hfToken: "hf_PLANTED-token" } }).weights;
    expect(step?.stdin?.slice(2)).toEqual([{ secret: "hfToken", as: "raw" }, "\n"]);
    expect(JSON.stringify(step)).not.toContain("PLANTED");
  });

  test("in parts is brought completely by one step, and the engine gets its first part", () => {
    const { container, weights } = served(big, { lock: sharded });
    const folder = `/srv/gpubox/models/hf/a/b/${lock.revision}/Q4`;
    expect(container.command[1]).toBe(`${folder}/big-00001-of-00002.gguf`);
    expect(container.mounts).toContainEqual({
      kind: "directory",
      source: folder,
      target: folder,
      readOnly: true,
    });
    expect(weights.map((step) => manifestOf(step).files)).toEqual([sharded.files]);
  });

  test("gets its projector and adapters by separate steps, each by its lock", () => {
    const part = (holds: LockedPart["holds"], path: string): LockedPart => ({
      ...{ holds, files: [{ path, bytes: 5, sha256: "ab" }], weightBytes: 4 },
      ...{ revision: "decaf", resolvedAt: lock.resolvedAt },
    });
    const entry = { ...big, mmproj: "hf://a/b/eyes.gguf", lora: ["hf://a/l/x.gguf"] };
    const { container, weights } = served(entry, {
      lock: sharded,
      locks: {
        "hf://a/b/eyes.gguf": part("projector", "eyes.gguf"),
        "hf://a/l/x.gguf": part("adapter", "x.gguf"),
      },
    });
    expect(weights[0]).toEqual(served(big, { lock: sharded }).weights[0]);
    expect(weights.slice(1).map(manifestOf)).toMatchObject([
      { repo: "a/b", revision: "decaf", files: [{ path: "eyes.gguf", bytes: 5, sha256: "ab" }] },
      { repo: "a/l", revision: "decaf", files: [{ path: "x.gguf", bytes: 5, sha256: "ab" }] },
    ]);
    expect(container.command.join(" ")).toContain(
      "--mmproj /srv/gpubox/models/hf/a/b/decaf/eyes.gguf --lora /srv/gpubox/models/hf/a/l/decaf/x.gguf",
    );
  });
});

describe("a source that is not locked", () => {
  test("of files is asked of the hub by their paths, a GGUF in parts by all of them", () => {
    const { container, weights } = served({ engine: "llamacpp", model: "hf://a/b/Q4/m-00001-of-00002.gguf" });
    expect(weights.map(manifestOf)).toEqual([
      {
        ...{ endpoint: "https://huggingface.co", repo: "a/b", revision: "main", progressSeconds: 5 },
        directory: "/srv/gpubox/models/hf/a/b/main",
        paths: ["Q4/m-00001-of-00002.gguf", "Q4/m-00002-of-00002.gguf"],
      },
    ]);
    expect(container.command[1]).toBe("/srv/gpubox/models/hf/a/b/main/Q4/m-00001-of-00002.gguf");
  });

  test("of a repository is asked for what engines read; an adapter only for its top folder", () => {
    const { container, weights } = served({
      ...{ engine: "vllm", model: "hf://a/b@v2", gpu: { devices: [0] } },
      loraModules: { sql: "hf://a/sql", again: "hf://a/sql" },
    });
    expect(weights.map(manifestOf)).toMatchObject([
      { directory: "/srv/gpubox/models/hf/a/b/v2", ...TRANSFORMERS },
      { directory: "/srv/gpubox/models/hf/a/sql/main", ...ADAPTER },
    ]);
    expect(container.command.join(" ")).toContain(
      "--lora-modules sql=/srv/gpubox/models/hf/a/sql/main again=/srv/gpubox/models/hf/a/sql/main",
    );
  });
});

test("everything comes from the hub that the host names", () => {
  const host = { ...gpuHost, modelHub: "https://hub.example.org/hf" };
  const entry = { engine: "llamacpp", model: "hf://a/b/m.gguf", mmproj: "hf://a/b/eyes.gguf" };
  expect(served(entry, { host }).weights.map(manifestOf)).toMatchObject([
    { endpoint: "https://hub.example.org/hf" },
    { endpoint: "https://hub.example.org/hf" },
  ]);
});

function manifestOf({ stdin }: StepPlan) {
  return JSON.parse(stdin?.[1] as string);
}
