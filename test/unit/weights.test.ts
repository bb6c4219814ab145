import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type WeightsOptions, weightsStep } from "../../configs/plan/weights";
import { defaultProjectDir } from "../../runner/project";
import { gpuHost, locked, served } from "../support/engines";

const options: WeightsOptions = {
  modelsDir: "/srv/gpubox/models",
  repo: "Qwen/Qwen3-0.6B",
  model: { revision: "c0ffee", files: [{ path: "model.safetensors", bytes: 5, sha256: "ab" }] },
  hasToken: false,
  image: "gpubox/gateway:1",
  fetchScript: "print('it''s')",
};

describe("the step that brings weights", () => {
  test("reads what to fetch from its standard input, into a directory that the commit names", () => {
    const { script, stdin } = weightsStep(options);
    expect(script).toBe(
      "docker run --rm -i --user 0 --label gpubox.weights=Qwen/Qwen3-0.6B --entrypoint python3 " +
        "-v /srv/gpubox/models:/srv/gpubox/models gpubox/gateway:1 -c 'print('\\''it'\\'''\\''s'\\'')'",
    );
    expect(stdin).toHaveLength(1);
    expect(JSON.parse(stdin?.[0] as string)).toEqual({
      endpoint: "https://huggingface.co",
      repo: "Qwen/Qwen3-0.6B",
      revision: "c0ffee",
      directory: "/srv/gpubox/models/hf/Qwen/Qwen3-0.6B/c0ffee",
      files: [{ path: "model.safetensors", bytes: 5, sha256: "ab" }],
      progressSeconds: 5,
    });
  });

  test("a token is the second line of its input, and only by its name until the step runs", () => {
    expect(weightsStep({ ...options, hasToken: true }).stdin?.slice(1)).toEqual([
      { secret: "hfToken", as: "raw" },
      "\n",
    ]);
  });

  test("has one name for the same files, and another for others", () => {
    const other = { ...options.model, revision: "decaf" };
    const name = weightsStep(options).name;
    expect(weightsStep({ ...options, hasToken: true }).name).toBe(name);
    expect(weightsStep({ ...options, model: other }).name).not.toBe(name);
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
        model: { revision, files },
        hasToken: false,
        image: "image/gateway",
        fetchScript: readFileSync(join(defaultProjectDir, "assets/weights/fetch.py"), "utf8"),
      }),
    ]);
  });

  test("has the token at its step's standard input where the stack has one, and nowhere else", () => {
    const [step] = served(qwen, { lock, secrets: { hfToken: "hf_PLANTED-token" } }).weights;
    expect(step?.stdin?.slice(1)).toEqual([{ secret: "hfToken", as: "raw" }, "\n"]);
    expect(JSON.stringify(step)).not.toContain("PLANTED");
  });

  test("in parts is brought whole by one step, and the engine is given its first part", () => {
    const { container, weights } = served(big, { lock: sharded });
    const folder = `/srv/gpubox/models/hf/a/b/${lock.revision}/Q4`;
    expect(container.command[1]).toBe(`${folder}/big-00001-of-00002.gguf`);
    expect(container.mounts).toContainEqual({
      kind: "directory",
      source: folder,
      target: folder,
      readOnly: true,
    });
    expect(weights.map(({ stdin }) => JSON.parse(stdin?.[0] as string).files)).toEqual([sharded.files]);
  });

  test("takes its projector and adapters by steps of their own, which do not read the model's input", () => {
    const plain = served(big, { lock: sharded }).weights;
    const { weights } = served(
      { ...big, mmproj: "hf://a/b/m.gguf", lora: ["hf://a/l/x.gguf"] },
      { lock: sharded },
    );
    expect(weights[0]).toEqual(plain[0]);
    expect(weights.slice(1).map(({ script, stdin }) => [/resolve\/\S+/.exec(script)?.[0], stdin])).toEqual([
      ["resolve/main/m.gguf", undefined],
      ["resolve/main/x.gguf", undefined],
    ]);
    expect(new Set(weights.map(({ name }) => name)).size).toBe(3);
  });

  test("does not change the step of one that is not", () => {
    const [step, ...more] = served(big).weights;
    expect([step?.name, step?.stdin, more]).toEqual(["weights-a5ac503e", undefined, []]);
    expect(step?.script).toContain("/srv/gpubox/models/hf/a/b/main/");
  });
});

test.each([
  ["is whole when each file of its list is there", `echo '[{"rfilename":"a.safetensors"}]'`, 0],
  ["fails, and is not taken for whole, when its list does not come", "exit 22", 1],
])("the download of a repository that is not locked %s", (_, list, code) => {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-weights-"));
  const program = (name: string, text: string) => {
    writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(dir, name), 0o755);
  };
  // `docker run … -c SCRIPT WORDS` without a container, and a hub that knows one list and one file.
  program("docker", 'while [ "$1" != -c ]; do shift; done; exec sh "$@"');
  program("curl", `case "$*" in */api/*) ${list} ;; *) echo x > a.safetensors.part ;; esac`);
  const model = { engine: "vllm", model: "hf://o/n", gpu: { devices: [0] } };
  const [step] = served(model, { host: { ...gpuHost, dataDir: dir } }).weights;
  const folder = join(dir, "models/hf/o/n/main");
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, PATH: `${dir}:${process.env.PATH}` };
  expect(spawnSync("sh", ["-c", step!.script], { env }).status).toBe(code);
  const there = [".complete", "a.safetensors"].map((name) => existsSync(join(folder, name)));
  expect(there).toEqual([code === 0, code === 0]);
  rmSync(dir, { recursive: true });
});
