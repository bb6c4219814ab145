import { type WeightsOptions, weightsStep } from "../../configs/plan/weights";

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
