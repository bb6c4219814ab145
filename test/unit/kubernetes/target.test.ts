import { judgedForCluster } from "../../../configs/plan/kubernetes/target";
import { mistakesIn, mistakesOf, rawStack, testSide } from "../../support/stacks";

const hub = {
  ...{ engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 2048 },
  kubernetes: { weights: { claim: "models" } },
};

/** The mistakes of a stack whose target is a cluster, a line each. */
function refused(values: Record<string, unknown>): string[] {
  const { config, plan } = testSide({ target: "kubernetes", models: { tiny: hub }, ...values });
  return mistakesIn(() => judgedForCluster(config, plan));
}

test("a target that nobody knows is a mistake with the likely word", () => {
  expect(mistakesOf(rawStack({ target: "kubernets" }))).toEqual([
    'gpubox:target: There is no target "kubernets". Did you mean "kubernetes"?',
  ]);
  expect(mistakesOf(rawStack({ target: "host" }))).toEqual([]);
});

test("the stack's target decides what its plan is for", () => {
  expect(testSide({ models: { tiny: hub } }).plan.cluster).toBeUndefined();
  expect(testSide({ target: "kubernetes", models: { tiny: hub } }).plan.cluster?.namespace).toBe(
    "gpubox-test",
  );
});

test("a cluster has to be named, because kubectl's current one changes", () => {
  expect(refused({ kubernetes: { context: "lab" } })).toEqual([]);
  expect(refused({})).toEqual([
    expect.stringMatching(/^gpubox:kubernetes\.context: No cluster is named, .* Write its context, /),
  ]);
});

test("what only one host can do is refused with its path, all of it at once", () => {
  const lines = refused({
    gateway: { joinNetworks: { clients: ["proxy"] } },
    models: { tiny: { ...hub, mounts: [{ source: "/srv/x" }] } },
  });
  expect(lines.map((line) => line.split(": ")[0])).toEqual([
    "gpubox:kubernetes.context",
    "gpubox:gateway.joinNetworks.clients",
    "gpubox:models.tiny.mounts",
  ]);
});

test("the losses are sentences", () => {
  const { config, plan } = testSide({
    target: "kubernetes",
    kubernetes: { context: "lab" },
    models: { tiny: hub },
  });
  const losses = judgedForCluster(config, plan);
  expect(losses.length).toBeGreaterThan(3);
  for (const loss of losses) expect(loss).toMatch(/^[A-Z].*\.$/);
});
