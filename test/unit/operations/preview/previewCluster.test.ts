import { compare } from "../../../../operations/preview/compare";
import { previewText } from "../../../../operations/preview/render";
import type { Changes } from "../../../../operations/preview/types";
import { testSide } from "../../../support/stacks";

const hub = {
  ...{ engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 2048 },
  kubernetes: { weights: { claim: "models" } },
};
const lab = (models: Record<string, unknown>, more = {}) =>
  testSide({ target: "kubernetes", kubernetes: { context: "lab" }, models, ...more });

const contained = ({ containers }: Changes) =>
  containers.map(({ container, action, how }) => `${container} ${action} ${how}`);

test("a model that is added comes with its server, and the gateways roll; nobody waits", () => {
  const changes = compare(lab({ tiny: hub }), lab({ tiny: hub, more: hub }));
  expect(changes.models.map(({ model, change }) => `${model} ${change}`)).toEqual(["more added"]);
  expect(contained(changes).sort()).toEqual([
    "backend-more created stop-first",
    "gateway replaced start-first",
  ]);
  expect([changes.gaps, changes.data, changes.ports]).toEqual([[], [], { opened: [], closed: [] }]);
});

test("a server that changed stops before its successor starts, and that is told", () => {
  const changes = compare(lab({ tiny: hub }), lab({ tiny: { ...hub, ctxSize: 8192 } }));
  expect(contained(changes)).toContain("backend-tiny replaced stop-first");
  expect(changes.gaps.map(({ models, notice }) => [models, notice])).toEqual([
    [
      ["tiny"],
      "tiny: its server stops before the new one starts, and requests to it fail until that one is ready.",
    ],
  ]);
});

test("a model that is removed takes its server along, and no change is none", () => {
  const changes = compare(lab({ tiny: hub, more: hub }), lab({ tiny: hub }));
  expect(contained(changes).sort()).toEqual([
    "backend-more deleted stop-first",
    "gateway replaced start-first",
  ]);
  const none = compare(lab({ tiny: hub }), lab({ tiny: hub }));
  const text = previewText({ stack: "lab", base: "the last", policy: [], notes: [], ...none });
  expect(text).toContain("`gpubox up` would change nothing.");
});

test("a stack that moves to a cluster is new there, and its box on the host keeps running", () => {
  const changes = compare(testSide({ models: { tiny: hub } }), lab({ tiny: hub }));
  expect(contained(changes).every((line) => line.includes(" created "))).toBe(true);
  expect(changes.data.map(({ what, fate }) => [what.split(",")[0], fate])).toEqual([
    ["The whole box on the host", "kept"],
  ]);
  expect(changes.gaps).toEqual([]);
});
