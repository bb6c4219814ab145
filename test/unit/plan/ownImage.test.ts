import type { Resolved } from "../../../configs/kit/resolved";
import { parseStack } from "../../../configs/parse";
import { imageRolesOf } from "../../../configs/stack/neededImages";
import { downloads } from "../../../operations/preview/downloads";
import { everyImage, gpuHost, locked, refusals } from "../../support/engines";
import { rawStack, recipes, testPlan, testSide } from "../../support/stacks";

const image = { repository: "vllm/vllm-openai", tag: "v0.32.0" };
const entry = { engine: "vllm", model: "file:///srv/models/m" };
const models = {
  new: { ...entry, gpu: { devices: [0] } },
  old: { ...entry, gpu: { devices: [1] }, image },
};
const stack = { host: gpuHost, models };
const LOCKED: Resolved = {
  ...everyImage,
  images: {
    ...everyImage.images,
    "vllm/vllm-openai:v0.32.0": {
      ...{ reference: "vllm/vllm-openai@sha256:old", source: "digest", bytes: { amd64: 9e9 } },
    },
  },
};

const containers = (resolved: Resolved) =>
  Object.fromEntries(
    testPlan(stack, undefined, resolved).backends.map(({ model, service }) => [model, service.container]),
  );

test("two versions of an engine run side by side, each by its own locked digest", () => {
  const { new: pinned, old } = containers(LOCKED);
  expect([pinned!.image, old!.image]).toEqual(["image/vllm", "vllm/vllm-openai@sha256:old"]);
  // What the engine's image needs stays: its user, its limits.
  expect([old!.role, old!.user, old!.pidsLimit]).toEqual([pinned!.role, pinned!.user, pinned!.pidsLimit]);
});

test("an entry without an image of its own says nothing of it to its container", () => {
  expect(Object.keys(containers(LOCKED).new!)).not.toContain("ownImage");
});

test("a stack needs the image that an entry names, in place of the one that its engine has pinned", () => {
  const config = parseStack(rawStack({ host: gpuHost, models: { old: models.old } }));
  const needed = imageRolesOf(config).filter(({ model }) => model === "old");
  expect(needed).toEqual([{ role: "vllm/vllm-openai:v0.32.0", model: "old" }]);
});

test("a preview says how large it is", () => {
  const [before, after] = [{ new: models.new }, models].map((some) =>
    testSide({ host: gpuHost, models: some }, { resolved: LOCKED, lock: { [entry.model]: locked() } }),
  );
  expect(downloads(before, after!)).toContainEqual({
    ...{ kind: "image", what: "vllm/vllm-openai@sha256:old", bytes: 9e9 },
  });
});

test("without a digest, preview names the key of the config that wants it, as a policy and as a note", () => {
  const plan = testPlan(stack, undefined, everyImage);
  expect(plan.backends[1]!.service.container.image).toBe("vllm/vllm-openai:v0.32.0");
  expect(plan.policy).toEqual([
    expect.objectContaining({
      ...{ policy: "digests-locked", path: "gpubox:models.old.image", severity: "warned" },
      what: "vllm/vllm-openai:v0.32.0 is a tag, which can be another image tomorrow.",
    }),
  ]);
  expect(plan.notes).toContain(
    "No digest is locked yet for gpubox:models.old.image (vllm/vllm-openai:v0.32.0): the plan names a tag. `gpubox up` locks it where the registry answers.",
  );
});

test.each([
  ["vllm", "v0.32.0", "gpubox knows those of 0.33.0"],
  ["vllm", "v0.33.01", "gpubox knows those of 0.33.0"],
  ["sglang", "v0.5.22", "gpubox knows those of 0.5.23"],
  ["tensorrt-llm", "1.2.1", "gpubox knows none of that engine by version"],
])("%s %s: a note says that nobody has checked its flags", (engine, tag, known) => {
  const m = { ...entry, engine, gpu: { devices: [0] }, image: { repository: "acme/x", tag } };
  expect(testPlan({ host: gpuHost, models: { m } }, undefined, everyImage).notes).toContain(
    `Nobody has checked that acme/x:${tag} (gpubox:models.m.image) knows every flag of its entry: ${known}.`,
  );
});

test.each(["v0.33.0", "0.33.0", "v0.33.0-cu130"])(
  "vllm %s: its flags are those that the checks know",
  (tag) => {
    const m = { ...models.new, image: { repository: "acme/x", tag } };
    const { notes } = testPlan({ host: gpuHost, models: { m } }, undefined, everyImage);
    expect(notes.filter((note) => note.startsWith("Nobody has checked"))).toEqual([]);
  },
);

test.each([
  [{ repository: "vllm/vllm-openai:v1", tag: "v1" }, "image.repository"],
  [{ repository: "../etc", tag: "v1" }, "image.repository"],
  [{ repository: "https://x/y", tag: "v1" }, "image.repository"],
  [{ repository: "a/b", tag: "v1@sha256:0" }, "image.tag"],
  [{ repository: "a/b", tag: "-v" }, "image.tag"],
  [{ repository: "a/b" }, "image.tag"],
  ["a/b:1", "image"],
])("%j is refused at its key", (wrong, at) => {
  expect(refusals({ ...models.new, image: wrong })).toEqual([expect.stringMatching(new RegExp(`^${at}: `))]);
});

test("a registry with a port is a repository", () => {
  expect(refusals({ ...models.new, image: { repository: "localhost:5000/a/b", tag: "1" } })).toEqual([]);
});

test("the models of a slot run one image", () => {
  const on = { engine: "llamacpp", model: "file:///srv/models/m.gguf", start: "ondemand", slot: "s" };
  const own = { ...on, image: { repository: "acme/swap", tag: "1" } };
  const wrong = () => parseStack(rawStack({ models: { a: on, b: own } }));
  expect(wrong).toThrow(
    "gpubox:models.b.image: The slot s runs the pinned image for a, and acme/swap:1 for b. Give all models of a slot the same image, or one of them another slot.",
  );
  const { slots } = testPlan({ models: { a: own, b: own } }, undefined, everyImage);
  expect(slots[0]!.service.container.image).toBe("acme/swap:1");
});

describe("an image of one of the instances", () => {
  const instances = [
    { name: "stable", gpu: { devices: [0] }, weight: 9 },
    { name: "canary", gpu: { devices: [1] }, weight: 1, image },
  ];
  const canary = { host: gpuHost, models: { m: { ...entry, instances } } };

  test("is that of its container alone, so that a new version serves a part of the requests", () => {
    const { backends } = testPlan(canary, undefined, LOCKED);
    expect(backends.map(({ service }) => [service.container.name, service.container.image])).toEqual([
      ["backend-m-stable", "image/vllm"],
      ["backend-m-canary", "vllm/vllm-openai@sha256:old"],
    ]);
  });

  test("is needed beside the pinned one, and named by its own path where it has no digest", () => {
    const needed = imageRolesOf(parseStack(rawStack(canary))).filter(({ model }) => model === "m");
    expect(needed.map(({ role }) => role)).toEqual(["vllm", "vllm/vllm-openai:v0.32.0"]);
    const { notes, policy } = testPlan(canary, undefined, everyImage);
    expect(policy.map(({ path }) => path)).toEqual(["gpubox:models.m.instances[1].image"]);
    expect(notes).toContainEqual(
      expect.stringContaining(
        "gpubox:models.m.instances[1].image (vllm/vllm-openai:v0.32.0): the plan names a tag.",
      ),
    );
  });
});

test("an image that the lock knows to have no build for the host's processor is told in the plan", () => {
  const bytes = { amd64: 1e9 };
  const images = {
    ...recipes.images,
    vllm: { reference: "vllm@sha256:1", source: "digest" as const, bytes },
  };
  const notes = (arch: string) =>
    testPlan(
      {
        host: { arch, gpus: [{ id: 0, memoryGiB: 80 }] },
        models: { qwen3: { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0] } } },
      },
      undefined,
      { ...recipes, images },
    ).notes.filter((note) => note.includes("has no build"));
  expect(notes("arm64")).toEqual([
    "The image of vllm has no build for arm64, and the model qwen3 needs it: `gpubox up` refuses it.",
  ]);
  expect(notes("amd64")).toEqual([]);
});
