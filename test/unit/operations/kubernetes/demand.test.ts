import fc from "fast-check";
import { renderKubernetes } from "../../../../configs/plan/kubernetes/render";
import { demandOf } from "../../../../operations/kubernetes/demand";
import { clusterPlan } from "../../../support/cluster";
import { claim, object, podOf, workload } from "../../../support/clusterObjects";

const of = (...objects: Parameters<typeof demandOf>[0]) => demandOf(objects);
const resources = {
  requests: { cpu: "500m", memory: "1Gi" },
  limits: { memory: "2Gi", "nvidia.com/gpu": 2 },
};

describe("what a box asks of a cluster", () => {
  test("is its pods' requests, a limit without a request among them, and its pods at a rollout", () => {
    const rolling = { replicas: 2, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } };
    const [gateway] = of(workload("gateway", podOf({}, { resources }), rolling)).workloads;
    expect([gateway?.pods, gateway?.requests, gateway?.limits, gateway?.unnamed]).toEqual([
      3,
      { cpu: 0.5, memory: 2 ** 30, "nvidia.com/gpu": 2 },
      { memory: 2 ** 31, "nvidia.com/gpu": 2 },
      ["limits.cpu"],
    ]);
  });

  test("counts no surge for what stops first, a quarter where nobody says, and no pod of what is off", () => {
    const pods = (spec: object) =>
      of(workload("model", podOf(), { ...spec })).workloads.map((one) => one.pods);
    expect(pods({ strategy: { type: "Recreate" } })).toEqual([1]);
    expect(pods({ replicas: 5 })).toEqual([7]);
    expect(pods({ replicas: 0 })).toEqual([]);
  });

  test("counts the most pods that KEDA may make", () => {
    const scaled = object("ScaledObject", "model", {
      spec: { scaleTargetRef: { name: "model" }, maxReplicaCount: 4 },
    });
    const model = workload("model", podOf(), { strategy: { type: "Recreate" } });
    expect(of(model, scaled).workloads.map((one) => one.pods)).toEqual([4]);
  });

  test("counts leaders and workers of a model over several nodes", () => {
    const template = (name: string) => ({
      metadata: { labels: { app: name } },
      spec: podOf({}, { resources }),
    });
    const leaderWorkerTemplate = { size: 3, leaderTemplate: template("l"), workerTemplate: template("w") };
    const set = object("LeaderWorkerSet", "giant", { spec: { replicas: 2, leaderWorkerTemplate } });
    expect(of(set).workloads.map((one) => [one.pods, one.requests["nvidia.com/gpu"]])).toEqual([
      [2, 2],
      [4, 2],
    ]);
  });

  test("counts an init container only where it is larger than what runs together", () => {
    const init = (memory: string, restartPolicy?: string) => ({
      initContainers: [{ name: "first", image: "x", restartPolicy, resources: { requests: { memory } } }],
    });
    const memory = (pod: object) =>
      (of(workload("model", pod as never)).workloads[0]?.requests.memory ?? 0) / 2 ** 30;
    const main = { resources: { requests: { memory: "2Gi" } } };
    expect(memory(podOf(init("1Gi"), main))).toBe(2);
    expect(memory(podOf(init("3Gi"), main))).toBe(3);
    expect(memory(podOf(init("1Gi", "Always"), main))).toBe(3);
  });

  test("is a volume for each claim, each replica of a StatefulSet, and each pod with a volume of its own", () => {
    const spec = { resources: { requests: { storage: "10Gi" } } };
    const set = workload("database", podOf(), {
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec }],
    });
    const pod = podOf({ volumes: [{ name: "weights", ephemeral: { volumeClaimTemplate: { spec } } }] });
    const model = workload("model", pod, { replicas: 2, strategy: { type: "Recreate" } });
    expect(of(claim("backups", "5Gi", "slow"), { ...set, kind: "StatefulSet" }, model).claims).toEqual([
      { name: "backups", storageClass: "slow", bytes: 5 * 2 ** 30, count: 1 },
      { name: "data-database", bytes: 10 * 2 ** 30, count: 1 },
      { name: "model-weights", bytes: 10 * 2 ** 30, count: 2 },
    ]);
  });

  test("is every Secret that a pod cannot start without, but those that come with it", () => {
    const env = [
      { name: "A", valueFrom: { secretKeyRef: { name: "env", key: "a" } } },
      { name: "B", valueFrom: { secretKeyRef: { name: "maybe", key: "b", optional: true } } },
    ];
    const pod = podOf(
      {
        imagePullSecrets: [{ name: "registry" }],
        volumes: [
          {
            name: "x",
            projected: { sources: [{ secret: { name: "files", items: [{ key: "k", path: "k" }] } }] },
          },
          { name: "y", secret: { secretName: "made" } },
          { name: "z", secret: { secretName: "outside" } },
        ],
      },
      { env, envFrom: [{ secretRef: { name: "env" } }] },
    );
    const external = object("ExternalSecret", "e", { spec: { target: { name: "outside" } } });
    expect(of(workload("gateway", pod), object("Secret", "made"), external).secrets).toEqual([
      { name: "env", keys: ["a"], by: ["gateway"], pulls: false },
      { name: "files", keys: ["k"], by: ["gateway"], pulls: false },
      { name: "registry", keys: [], by: ["gateway"], pulls: true },
    ]);
  });

  test("of any objects never fails and asks for nothing negative", () => {
    const names = fc.constantFrom("a", "b", "c");
    const any = fc.record({
      apiVersion: fc.constantFrom("v1", "apps/v1", "example.com/v1"),
      kind: fc.constantFrom("Deployment", "ConfigMap", "ScaledObject", "Other"),
      metadata: fc.record({ name: names }),
      spec: fc.anything(),
    });
    fc.assert(
      fc.property(fc.array(any), (objects) => {
        const { workloads, claims } = demandOf(objects);
        expect(
          [...workloads.map(({ pods }) => pods), ...claims.map(({ bytes }) => bytes)].every((n) => n >= 0),
        ).toBe(true);
      }),
    );
  });
});

test("a Secret that comes with the objects is not asked for", () => {
  const plan = clusterPlan({
    models: { tiny: { engine: "llamacpp", model: "hf://acme/tiny-GGUF/tiny.gguf" } },
  });
  const { objects, secrets } = renderKubernetes(plan);
  const made = secrets.map(({ metadata }) => metadata.name);
  expect(
    demandOf(objects)
      .secrets.map(({ name }) => name)
      .sort(),
  ).toEqual([...made].sort());
  expect(demandOf(objects, {}, made).secrets).toEqual([]);
});
