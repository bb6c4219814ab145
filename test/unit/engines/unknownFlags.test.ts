import { parseStack } from "../../../configs/parse";
import { gpuHost, locked, refusals } from "../../support/engines";
import { rawStack, testPlan } from "../../support/stacks";

const vllm = { engine: "vllm", model: "hf://o/m", gpu: { devices: [0] } };
const sglang = { engine: "sglang", model: "hf://o/m", gpu: { devices: [0] } };
const lock = locked();

test.each([
  [
    vllm,
    ["--max-num-batchd-tokns", "1"],
    "extraArgs[0]: vllm 0.33.0 has no flag --max-num-batchd-tokns, and its server would end at its start. Did you mean --max-num-batched-tokens? Or name an image that has it: image: { repository, tag }.",
  ],
  [
    sglang,
    ["--seed=1", "--vllm-only-thing"],
    expect.stringMatching(/^extraArgs\[1\]: sglang 0\.5\.23 has no flag --vllm-only-thing, /),
  ],
])("a flag that the pinned release has not is refused: %j %j", (entry, extraArgs, refusal) => {
  const more = refusals({ ...entry, extraArgs }, { lock });
  expect(more).toContainEqual(refusal);
});

test.each([
  [vllm, ["--seed", "-1", "--enable-log-requests"]],
  [vllm, ["--compilation-config", '{"a": "-x"}', "-O3"]],
  [sglang, ["--random-seed", "-1", "--attention-backend=fa3"]],
])("what the release knows passes, values with a dash too: %j %j", (entry, extraArgs) => {
  expect(refusals({ ...entry, extraArgs }, { lock })).toEqual([]);
});

test("an image of the entry's own may know more: a note says what nobody has checked", () => {
  const image = { repository: "acme/vllm", tag: "nightly" };
  const models = { m: { ...vllm, model: "file:///srv/m", image, extraArgs: ["--brand-new"] } };
  expect(() => parseStack(rawStack({ host: gpuHost, models }))).not.toThrow();
  expect(testPlan({ host: gpuHost, models }).notes).toContain(
    "m: gpubox does not know --brand-new of vllm. The server ends at its start if its image does not either.",
  );
});

test("llama.cpp's images follow its releases, so that an unknown flag is a note", () => {
  const models = {
    m: { engine: "llamacpp", model: "canned", extraArgs: ["-cd", "4096", "--ctx-size-draft", "1"] },
  };
  expect(testPlan({ models }).notes).toContainEqual(
    expect.stringMatching(/^m: gpubox does not know -cd.*, --ctx-size-draft.* of llamacpp\. /),
  );
});
