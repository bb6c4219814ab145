import fc from "fast-check";
import { demandOf } from "../../../../operations/kubernetes/demand";
import type { ClusterGround, Quota } from "../../../../operations/kubernetes/ground";
import { judgeGround } from "../../../../operations/kubernetes/judge";
import { unreached } from "../../../../operations/kubernetes/unreached";
import { claim, firmCluster, object, podOf, workload } from "../../../support/clusterObjects";

const site = { stack: "test", namespace: "gpubox-test", context: "prod" };
const GIB = 2 ** 30;

function judge(objects: Parameters<typeof demandOf>[0], change: Partial<ClusterGround> = {}) {
  return judgeGround(site, demandOf(objects, { "model-tiny": "tiny" }), { ...firmCluster, ...change });
}

const secrets = podOf({}, { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "env", key: "a" } } }] });
const gpus = (count: number, more: Record<string, unknown> = {}) =>
  podOf(more, { resources: { limits: { "nvidia.com/gpu": count } } });
const node = (name: string, count: number, labels: Record<string, string> = {}) => ({
  ...{ name, labels, schedulable: true },
  allocatable: { "nvidia.com/gpu": count },
});
const quota = (hard: Quota["hard"], used: Quota["used"] = {}): Quota[] => [
  { name: "team", hard, used, scoped: false },
];
const memory = podOf(
  {},
  { resources: { requests: { cpu: "1", memory: "4Gi" }, limits: { cpu: "1", memory: "4Gi" } } },
);
const imaged = (more: Record<string, unknown> = {}) =>
  podOf({ volumes: [{ name: "given", image: { reference: "models/tiny:1" } }], ...more });
const recreate = { strategy: { type: "Recreate" } };

describe("a cluster on which the box would not stand", () => {
  test("is none where all is there", () => {
    const all = [claim("data", "1Gi"), claim("other", "1Gi", "standard"), workload("gateway", memory)];
    expect(judge(all, { quotas: quota({ "requests.memory": 8 * GIB, pods: 10 }) })).toEqual([]);
  });

  test.each<[string, Parameters<typeof demandOf>[0], Partial<ClusterGround>, string, string]>([
    [
      "a namespace of another stack",
      [],
      { namespace: { labels: { "gpubox.stack": "prod" }, terminating: false } },
      'The namespace gpubox-test has the box of the stack "prod".',
      "gpubox:kubernetes.namespace: gpubox-test",
    ],
    [
      "objects of another stack",
      [],
      { present: [{ kind: "Service", name: "edge", stack: "prod" }] },
      'The namespace gpubox-test has the box of the stack "prod".',
      "gpubox:kubernetes.namespace: gpubox-test",
    ],
    [
      "a stranger's object of the same name",
      [workload("gateway", podOf())],
      { present: [{ kind: "Deployment", name: "gateway" }] },
      "has Deployment gateway that gpubox did not make, and the box would take its place",
      "Write another one",
    ],
    [
      "a namespace that is being deleted",
      [],
      { namespace: { labels: {}, terminating: true } },
      "is being deleted",
      "kubectl get namespace gpubox-test",
    ],
    [
      "no default storage class",
      [claim("data", "1Gi")],
      { storageClasses: [{ name: "slow", isDefault: false }] },
      "The cluster has no default storage class, and data names none.",
      "Write gpubox:kubernetes.storageClass with one of: slow.",
    ],
    [
      "no storage class at all",
      [claim("data", "1Gi")],
      { storageClasses: [] },
      "The cluster has no default storage class",
      "Install a provisioner first",
    ],
    [
      "another storage class than the named one",
      [claim("data", "1Gi", "fast")],
      {},
      'The cluster has no storage class "fast".',
      "one of: standard",
    ],
    [
      "a missing Secret",
      [workload("gateway", secrets)],
      {},
      "There is no Secret env, which gateway reads.",
      "`gpubox manifests secrets --stack test`",
    ],
    [
      "a Secret without a key",
      [workload("gateway", secrets)],
      { secrets: { env: ["b"] } },
      "The Secret env has no a, which gateway reads.",
      "`gpubox manifests secrets --stack test`",
    ],
    [
      "a missing key of an image registry",
      [workload("gateway", podOf({ imagePullSecrets: [{ name: "registry" }] }))],
      {},
      "There is no Secret registry, which gateway reads.",
      "`kubectl create secret docker-registry registry --namespace gpubox-test",
    ],
    [
      "no GPU on any node",
      [workload("model-tiny", gpus(1), recreate)],
      {},
      "model-tiny asks for 1 nvidia.com/gpu, and no node has any.",
      "correct gpubox:kubernetes.gpuResources",
    ],
    [
      "too few GPUs on each node",
      [workload("model-tiny", gpus(8), recreate)],
      { nodes: [node("n1", 4), node("n2", 4)] },
      "asks for 8 nvidia.com/gpu on one node, and the largest of the nodes has 4",
      "span several nodes",
    ],
    [
      "GPUs on other nodes than the selected ones",
      [workload("model-tiny", gpus(1, { nodeSelector: { zone: "a" } }), recreate)],
      { nodes: [node("n1", 4, { zone: "b" })] },
      "and no node with zone=a has any",
      "kubernetes.nodeSelector",
    ],
    [
      "a kind that the server does not know",
      [object("LeaderWorkerSet", "giant", { spec: {} }, "leaderworkerset.x-k8s.io/v1")],
      {},
      "The cluster knows no LeaderWorkerSet of leaderworkerset.x-k8s.io/v1, which giant is.",
      "`helm install lws ",
    ],
    [
      "a quota that is too small",
      [workload("gateway", memory, { replicas: 2, ...recreate })],
      { quotas: quota({ "limits.memory": 6 * GIB }) },
      "The box needs 8 GiB of limits.memory at a rollout, and the quota team of the namespace gpubox-test is 6 GiB.",
      "Ask for a quota of 8 GiB",
    ],
    [
      "a quota that others use",
      [workload("gateway", memory, recreate)],
      { quotas: quota({ "requests.cpu": 2 }, { "requests.cpu": 1.5 }) },
      "is 2, of which others use 1.5",
      "Ask for a quota of 2.5",
    ],
    [
      "a quota of what pods do not name",
      [workload("gateway", podOf(), recreate)],
      { quotas: quota({ "limits.cpu": 100 }) },
      "counts limits.cpu, and 1 of the box's workloads name none: gateway.",
      "Add a LimitRange of type Container with `default: { cpu: … }`",
    ],
    [
      "a stricter Pod Security",
      [],
      { refusals: ['pods "model-" is forbidden: violates PodSecurity "restricted:latest": …'] },
      "enforces a stricter Pod Security than a part of the box needs",
      "docs/kubernetes.md",
    ],
    [
      "a Pod Security without directories of nodes",
      [],
      { refusals: ['pods "m-" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (…)'] },
      "enforces a stricter Pod Security than a part of the box needs",
      "Let who has it write the label pod-security.kubernetes.io/enforce=privileged, or keep the models' files elsewhere",
    ],
    [
      "a server that drops volumes of images",
      [workload("model-tiny", imaged(), recreate)],
      { imageVolumes: false },
      "The API server drops volumes that are images, and model-tiny would start without the model's files.",
      "Turn the feature gate ImageVolume on, for the API server and for kubelets",
    ],
    [
      "a server that does not know volumes of images",
      [workload("model-tiny", imaged(), recreate)],
      {
        imageVolumes: false,
        refusals: ['strict decoding error: unknown field "spec.template.spec.volumes[0].image"'],
      },
      "The API server drops volumes that are images",
      "weights.claim",
    ],
    [
      "no node that mounts images",
      [workload("model-tiny", imaged({ nodeSelector: { zone: "a" } }), recreate)],
      {
        imageVolumes: true,
        nodes: [
          { ...node("n1", 0, { zone: "a" }), runtime: "containerd://1.6.20~ds1" },
          { ...node("n2", 0, { zone: "b" }), runtime: "containerd://2.1.0" },
        ],
      },
      "No node that model-tiny may run on mounts its files: n1 has an older containerd than 2.1, which mounts no image.",
      "Upgrade the nodes' containerd",
    ],
    [
      "no rights",
      [],
      { refusals: ['services "edge" is forbidden: User "v" cannot patch resource'] },
      "You may not do that there",
      'the role "admin"',
    ],
  ])("has %s", (_, objects, change, what, fix) => {
    const [found, ...others] = judge(objects, change);
    expect([found?.level, others]).toEqual(["refused", []]);
    expect(found?.what).toContain(what);
    expect(found?.fix).toContain(fix);
  });

  test("is told with the model's path where it is about one", () => {
    expect(judge([workload("model-tiny", gpus(1), recreate)]).map(({ path }) => path)).toEqual([
      "gpubox:models.tiny",
    ]);
  });

  test("says which key of a model it is where an image holds its files", () => {
    const found = judge([workload("model-tiny", imaged(), recreate)], { imageVolumes: false });
    expect(found.map(({ path }) => path)).toEqual(["gpubox:models.tiny.kubernetes.weights.image"]);
  });

  test("is none for a weaker Pod Security that the box's own namespace brings along", () => {
    const brought = (level: string) => ({
      ...object("Namespace", "gpubox-test"),
      metadata: {
        name: "gpubox-test",
        labels: { "gpubox.stack": "test", "pod-security.kubernetes.io/enforce": level },
      },
    });
    const refusals = ['pods "m-" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'];
    expect(judge([brought("privileged")], { refusals })).toEqual([]);
    expect(judge([brought("restricted")], { refusals })).toHaveLength(1);
  });

  test("counts what the box itself uses of a quota once", () => {
    const used = { "requests.memory": 4 * GIB, pods: 1 };
    const change = { quotas: quota({ "requests.memory": 4 * GIB, pods: 1 }, used), own: used };
    expect(judge([workload("gateway", memory, recreate)], change)).toEqual([]);
  });

  test("leaves alone a quota of some pods, and one that a LimitRange fills in", () => {
    const scoped = quota({ pods: 0, "limits.memory": 0 }).map((one) => ({ ...one, scoped: true }));
    expect(judge([workload("gateway", memory)], { quotas: scoped })).toEqual([]);
    const named = { quotas: quota({ "limits.cpu": 100 }), named: ["limits.cpu"] };
    expect(judge([workload("gateway", podOf())], named)).toEqual([]);
  });
});

describe("what nobody has to change", () => {
  test("is GPUs that suffice one after another, and what this person may not read", () => {
    const two = ["a", "b"].map((name) => workload(`model-${name}`, gpus(3), recreate));
    const found = judge(two, { nodes: [node("n1", 4)], unread: ["quotas", "nodes"] });
    expect(found.map(({ level, what }) => [level, what])).toEqual([
      ["note", "The models ask for 6 nvidia.com/gpu together, and all nodes have 4: pods would wait."],
      ["note", "You may not read quotas and nodes of this cluster, so nobody looked there."],
    ]);
  });

  test("is a node that mounts no image, where another one does, and a runtime that says nothing", () => {
    const nodes = ["containerd://1.7.28", "containerd://2.1.4", "cri-o://1.31.0", "docker://27.0.0"].map(
      (runtime, index) => ({ ...node(`n${index}`, 0), runtime }),
    );
    const found = judge([workload("model-tiny", imaged(), recreate)], { imageVolumes: true, nodes });
    expect(found.map(({ level, what }) => [level, what])).toEqual([
      [
        "note",
        "Pods of model-tiny do not start on every node: n0 has an older containerd than 2.1, which mounts no image.",
      ],
    ]);
    expect(judge([workload("gateway", podOf())], { nodes })).toEqual([]);
  });

  test("is what somebody without the right to list nodes and classes cannot know", () => {
    const blind = { nodes: undefined, storageClasses: undefined };
    expect(judge([claim("data", "1Gi"), workload("model", gpus(1))], blind)).toEqual([]);
  });
});

describe("a cluster that cannot be asked", () => {
  test.each([
    [127, "", "There is no `kubectl` on PATH", "Install it"],
    [1, 'error: context "prod" does not exist', "is not one that kubectl knows", "get-contexts"],
    [
      1,
      "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
      'The context "prod" does not answer',
      "VPN",
    ],
    [1, "Unable to connect to the server: net/http: TLS handshake timeout", "does not answer", "VPN"],
    [1, "Unable to connect to the server: dial tcp: lookup api.test: no such host", "does not answer", "VPN"],
    [
      1,
      "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
      "certificate is not one that this kubeconfig trusts",
      "Fetch the kubeconfig again",
    ],
    [
      1,
      "error: You must be logged in to the server (Unauthorized)",
      "does not know you: You must be logged in",
      "--context prod version",
    ],
    [137, "", "kubectl did not end within a minute", "VPN"],
  ])("is refused by its reason (code %d: %s)", (code, stderr, what, fix) => {
    const [found, ...others] = judgeGround(site, demandOf([]), unreached({ code, stdout: "", stderr }));
    expect([found?.path, found?.level, others]).toEqual(["gpubox:kubernetes.context", "refused", []]);
    expect(found?.what).toContain(what);
    expect(found?.fix).toContain(fix);
  });
});

test("a quota refuses the box exactly when it is less than what the box and others use", () => {
  fc.assert(
    fc.property(fc.nat(64), fc.nat(64), fc.integer({ min: 1, max: 8 }), (hard, others, replicas) => {
      const objects = [workload("gateway", memory, { replicas, ...recreate })];
      const found = judge(objects, {
        quotas: quota({ "requests.memory": hard * GIB }, { "requests.memory": others * GIB }),
      });
      expect(found.length).toBe(4 * replicas + others > hard ? 1 : 0);
    }),
  );
});
