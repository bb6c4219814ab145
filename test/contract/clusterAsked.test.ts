import { checkCluster, checkPlan } from "../../operations/kubernetes/check";
import { type ClusterObject, demandOf } from "../../operations/kubernetes/demand";
import { findingLines } from "../../operations/kubernetes/finding";
import { readGround } from "../../operations/kubernetes/ground";
import { claim, object, podOf, workload } from "../support/clusterObjects";
import { clusterSide } from "../support/clusterStacks";
import { ClusterStub } from "../support/clusterStub";
import { needs } from "../support/needs";

const OURS = { "gpubox.stack": "test" };
const env = [{ name: "A", valueFrom: { secretKeyRef: { name: "env", key: "a" } } }];
const memory = { requests: { memory: "1Gi" }, limits: { memory: "1Gi" } };

/** What a cluster may have, as its server gives it. */
const NAMESPACE = { kind: "Namespace", metadata: { name: "box", labels: {} } };
const CLASS = {
  kind: "StorageClass",
  metadata: { name: "fast", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
};
const NODE = {
  kind: "Node",
  metadata: { name: "n1", labels: { zone: "a" } },
  spec: {},
  status: { allocatable: { cpu: "7910m", "nvidia.com/gpu": "2" } },
};
const QUOTA = {
  kind: "ResourceQuota",
  metadata: { name: "team" },
  spec: { hard: { "requests.memory": "2Gi", pods: "3" } },
  status: { hard: {}, used: { "requests.memory": "1536Mi", pods: "2" } },
};
const SECRET = {
  kind: "Secret",
  metadata: { name: "env", labels: OURS },
  data: { a: Buffer.from("PLANTED").toString("base64"), b: "" },
};

interface WrittenSecret {
  metadata: { name: string };
  stringData: Record<string, string>;
}

// What a real server answers is asked in test/e2e/kubernetesGround.test.ts. Here is what needs kubectl alone.
needs("kubectl")("kubectl, asked for a cluster", () => {
  let stub: ClusterStub;
  beforeEach(async () => {
    stub = new ClusterStub();
    await stub.start();
    stub.objects = [NAMESPACE, CLASS, NODE];
  });
  afterEach(() => stub.close());

  const BOX = [claim("data", "1Gi"), workload("gateway", podOf({}, { env, resources: memory }))];
  const what = async (objects: ClusterObject[], context?: "stranger") =>
    (await checkCluster(stub.at(context), "test", objects)).map((one) => `${one.level}: ${one.what}`);

  test("gives classes, nodes, quotas, ranges, what is there, and the keys of Secrets without a value", async () => {
    const range = { type: "Container", default: { cpu: "1" }, defaultRequest: { memory: "1Gi" } };
    const pod = { ...podOf({}, { resources: memory }) };
    stub.objects.push(
      ...[QUOTA, SECRET, { kind: "LimitRange", metadata: { name: "team" }, spec: { limits: [range] } }],
      { kind: "Service", metadata: { name: "edge", labels: OURS } },
      { kind: "Deployment", metadata: { name: "other" } },
      { kind: "Pod", metadata: { name: "gateway-1", labels: OURS }, spec: pod, status: { phase: "Running" } },
      { kind: "Pod", metadata: { name: "prove-1", labels: OURS }, spec: pod, status: { phase: "Succeeded" } },
      { kind: "Pod", metadata: { name: "stranger" }, spec: pod, status: { phase: "Running" } },
    );
    const ground = await readGround(stub.at(), demandOf(BOX), "test");
    expect(ground).toEqual({
      namespace: { labels: {}, terminating: false },
      present: [
        { kind: "Deployment", name: "other" },
        { kind: "Service", name: "edge", stack: "test" },
        { kind: "Secret", name: "env", stack: "test" },
      ],
      quotas: [
        {
          name: "team",
          hard: { "requests.memory": 2 ** 31, pods: 3 },
          used: { "requests.memory": 1.5 * 2 ** 30, pods: 2 },
          scoped: false,
        },
      ],
      named: ["limits.cpu", "requests.cpu", "requests.memory"],
      own: { "requests.memory": 2 ** 30, "limits.memory": 2 ** 30, pods: 1 },
      ownStorage: 0,
      storageClasses: [{ name: "fast", isDefault: true }],
      nodes: [
        {
          name: "n1",
          labels: { zone: "a" },
          allocatable: { cpu: 7.91, "nvidia.com/gpu": 2 },
          schedulable: true,
        },
      ],
      secrets: { env: ["a", "b"] },
      kinds: [],
      refusals: [],
      unread: [],
    });
    expect(JSON.stringify(ground)).not.toContain(SECRET.data.a);
  });

  test("finds nothing in the way of a box that fits, and changes nothing", async () => {
    stub.objects.push(SECRET);
    expect(await what(BOX)).toEqual([]);
    expect(stub.changes).toEqual([]);
  });

  test("rehearses nothing where there is no namespace yet, and judges the rest", async () => {
    stub.objects = [CLASS, NODE];
    stub.refuses = () => "this is asked of nobody";
    expect(await what(BOX)).toEqual(["refused: There is no Secret env, which gateway reads."]);
  });

  test("tells what the server refuses in the server's own words, of objects and of the pods that come of them", async () => {
    stub.objects.push(SECRET);
    stub.refuses = ({ kind }) =>
      kind === "Pod"
        ? 'pods "gateway-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
        : undefined;
    expect(await what(BOX)).toEqual([
      'refused: The namespace box enforces a stricter Pod Security than a part of the box needs: pods "gateway-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true.',
    ]);
  });

  test("knows a kind of another project once the server serves it", async () => {
    const scaled = object("ScaledObject", "scale", { spec: {} }, "keda.sh/v1alpha1");
    expect(await what([scaled])).toEqual([
      "refused: The cluster knows no ScaledObject of keda.sh/v1alpha1, which scale is.",
    ]);
    stub.extend("keda.sh/v1alpha1", "scaledobjects", "ScaledObject");
    expect(await what([scaled])).toEqual([]);
  });

  test("is asked for a stack's own plan, in its context and namespace, and names the model that lacks a GPU", async () => {
    const models = { large: { engine: "vllm", model: "hf://acme/large", gpu: { devices: [0, 1, 2, 3] } } };
    const gpus = [0, 1, 2, 3].map((id) => ({ id, memoryGiB: 80 }));
    const kubernetes = { context: "admin", namespace: "own" };
    const { plan, secrets } = clusterSide({ host: { gpus }, kubernetes, models });
    stub.objects.push(
      ...(secrets as WrittenSecret[]).map(({ metadata, stringData: data }) => ({
        kind: "Secret",
        metadata,
        data,
      })),
    );
    const before = process.env.KUBECONFIG;
    process.env.KUBECONFIG = stub.at().kubeconfig;
    try {
      expect(findingLines(await checkPlan(plan, "names"))).toEqual([
        "refused  gpubox:models.large: backend-large asks for 4 nvidia.com/gpu on one node, and the largest of the nodes has 2. Use fewer devices on a node, or let the model span several nodes.",
      ]);
    } finally {
      process.env.KUBECONFIG = before;
    }
  });

  test("tells somebody with the wrong token that the server does not know them", async () => {
    expect(await what(BOX, "stranger")).toEqual([
      expect.stringMatching(/^refused: The API server does not know you: You must be logged in/),
    ]);
  });

  test("says what a person may not read, and refuses nothing for it", async () => {
    stub.forbidden = ["nodes", "storageclasses", "resourcequotas", "namespaces", "secrets"];
    expect(await what(BOX)).toEqual([
      expect.stringMatching(/^note: You may not read .* so nobody looked there/),
    ]);
  });
});
