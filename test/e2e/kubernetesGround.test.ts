import { checkCluster } from "../../operations/kubernetes/check";
import { type ClusterObject, demandOf } from "../../operations/kubernetes/demand";
import type { GroundFinding } from "../../operations/kubernetes/finding";
import { readGround } from "../../operations/kubernetes/ground";
import { allocate } from "../support/allocate";
import { API_SERVER, ApiServer } from "../support/apiServer";
import { claim, object, podOf, workload } from "../support/clusterObjects";
import { crdFile, crdName, EXTENSIONS } from "../support/crds";
import { needs, orSkip } from "../support/needs";

/** An object of each kind that another project brings, as the smallest that its definition accepts. */
const EXTENDED: Record<(typeof EXTENSIONS)[number], ClusterObject> = {
  LeaderWorkerSet: object(
    "LeaderWorkerSet",
    "giant",
    {
      spec: {
        replicas: 1,
        leaderWorkerTemplate: {
          size: 2,
          workerTemplate: { metadata: { labels: { app: "w" } }, spec: podOf() },
        },
      },
    },
    "leaderworkerset.x-k8s.io/v1",
  ),
  ScaledObject: object(
    "ScaledObject",
    "scale",
    {
      spec: {
        scaleTargetRef: { name: "model" },
        triggers: [
          { type: "prometheus", metadata: { serverAddress: "http://p", query: "q", threshold: "4" } },
        ],
      },
    },
    "keda.sh/v1alpha1",
  ),
  InferencePool: object(
    "InferencePool",
    "pool",
    {
      spec: {
        selector: { matchLabels: { app: "model" } },
        targetPorts: [{ number: 8000 }],
        endpointPickerRef: { name: "picker", port: { number: 9002 } },
      },
    },
    "inference.networking.k8s.io/v1",
  ),
  ExternalSecret: object(
    "ExternalSecret",
    "outside",
    {
      spec: {
        secretStoreRef: { name: "vault", kind: "SecretStore" },
        target: { name: "outside" },
        data: [{ secretKey: "a", remoteRef: { key: "box", property: "a" } }],
      },
    },
    "external-secrets.io/v1",
  ),
};

needs(...API_SERVER)("a live API server", () => {
  let server: ApiServer;

  beforeAll(async () => {
    server = await ApiServer.start(allocate("ground"));
  });
  afterAll(() => server?.stop());

  const namespaces = new Map<string, string>();
  /** A namespace of its own for each test. */
  async function fresh(level?: "baseline" | "restricted", labels?: Record<string, string>): Promise<string> {
    const name = `box-${namespaces.size}`;
    namespaces.set(name, name);
    await server.namespace(name, level, labels);
    return name;
  }

  async function judge(
    namespace: string,
    objects: ClusterObject[],
    context: Parameters<ApiServer["at"]>[1] = "admin",
  ): Promise<GroundFinding[]> {
    return checkCluster(server.at(namespace, context), "test", objects);
  }

  const refusals = (found: GroundFinding[]) => found.map(({ level, path, what }) => [level, path, what]);

  test("accepts a box that it can run, and nothing is changed by the question", async () => {
    const namespace = await fresh("restricted");
    await server.apply("default", [storageClass("standard", true)], "test");
    const list = ["get", "all,pvc,secrets,configmaps", "--output", "name"];
    const before = await server.output(list, undefined, namespace);
    expect(await judge(namespace, [claim("data", "1Gi"), workload("gateway", podOf())])).toEqual([]);
    expect(await server.output(list, undefined, namespace)).toBe(before);
    expect(await judge("not-yet", [workload("gateway", podOf())])).toEqual([]);
    await server.output(["delete", "storageclass", "standard"]);
  });

  test.each([
    ["nowhere", 'The context "nowhere" does not answer'],
    ["stranger", "The API server does not know you"],
    ["unknown", 'The context "unknown" is not one that kubectl knows'],
  ] as const)("behind the context %s is refused by its reason", async (context, what) => {
    const found = await judge("box", [workload("gateway", podOf())], context as "nowhere");
    expect(refusals(found)).toEqual([
      ["refused", "gpubox:kubernetes.context", expect.stringContaining(what)],
    ]);
  });

  test("refuses a namespace of another box, by its label and by what is in it", async () => {
    const labelled = await fresh("baseline", { "gpubox.stack": "prod" });
    const said = `The namespace ${labelled} has the box of the stack "prod".`;
    const refused = (what: string) => [["refused", "gpubox:kubernetes.namespace", what]];
    expect(refusals(await judge(labelled, []))).toEqual(refused(said));
    const filled = await fresh();
    const theirs = {
      ...object("ConfigMap", "settings"),
      metadata: { name: "settings", labels: { "gpubox.stack": "prod" } },
    };
    await server.apply(filled, [theirs]);
    expect(refusals(await judge(filled, []))).toEqual(refused(said.replace(labelled, filled)));
  });

  test("refuses to let the box take the place of a stranger's object", async () => {
    const namespace = await fresh();
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "edge" },
      spec: { ports: [{ port: 80 }] },
    };
    await server.apply(namespace, [service], "helm");
    expect(refusals(await judge(namespace, [object("Service", "edge", { spec: service.spec })]))).toEqual([
      [
        "refused",
        "gpubox:kubernetes.namespace",
        expect.stringContaining("has Service edge that gpubox did not make"),
      ],
    ]);
  });

  test("without a default storage class refuses a claim that names none", async () => {
    const namespace = await fresh();
    await server.apply("default", [storageClass("slow", false)], "test");
    const found = await judge(namespace, [claim("data", "1Gi"), claim("other", "1Gi", "slow")]);
    expect(found.map(({ what, fix }) => [what, fix])).toEqual([
      [
        "The cluster has no default storage class, and data names none.",
        "Write gpubox:kubernetes.storageClass with one of: slow.",
      ],
    ]);
    await server.output(["delete", "storageclass", "slow"]);
  });

  test("refuses what a quota has no room for, before any pod is asked for", async () => {
    const namespace = await fresh();
    const hard = { "limits.memory": "6Gi", "requests.memory": "100Gi", pods: "10" };
    await server.apply(
      namespace,
      [{ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "team" }, spec: { hard } }],
      "test",
    );
    await server.status(namespace, "resourcequota", "team", {
      hard,
      used: { "limits.memory": "1Gi", "requests.memory": "1Gi", pods: "1" },
    });
    const pod = podOf({}, { resources: { requests: { memory: "3Gi" }, limits: { memory: "3Gi" } } });
    const box = (replicas: number) => [
      workload("gateway", pod, { replicas, strategy: { type: "Recreate" } }),
    ];
    expect(await judge(namespace, box(1))).toEqual([]);
    expect(refusals(await judge(namespace, box(2)))).toEqual([
      [
        "refused",
        "gpubox:kubernetes.namespace",
        `The box needs 6 GiB of limits.memory at a rollout, and the quota team of the namespace ${namespace} is 6 GiB, of which others use 1 GiB.`,
      ],
    ]);
  });

  test("refuses pods that name no limit where a quota counts it, unless a LimitRange names one", async () => {
    const namespace = await fresh();
    const hard = { "limits.cpu": "8" };
    await server.apply(
      namespace,
      [{ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "team" }, spec: { hard } }],
      "test",
    );
    await server.status(namespace, "resourcequota", "team", { hard, used: { "limits.cpu": "0" } });
    expect((await judge(namespace, [workload("gateway", podOf())])).map(({ what }) => what)).toEqual([
      `The quota team of the namespace ${namespace} counts limits.cpu, and 1 of the box's workloads name none: gateway.`,
    ]);
    const range = { spec: { limits: [{ type: "Container", default: { cpu: "1" } }] } };
    await server.apply(namespace, [{ ...object("LimitRange", "team"), ...range }], "test");
    expect(await judge(namespace, [workload("gateway", podOf())])).toEqual([]);
  });

  test("refuses a Secret that is missing or lacks a key, and no value of one is read", async () => {
    const namespace = await fresh();
    const env = [{ name: "A", valueFrom: { secretKeyRef: { name: "env", key: "a" } } }];
    const box = [workload("gateway", podOf({}, { env }))];
    expect((await judge(namespace, box)).map(({ what }) => what)).toEqual([
      "There is no Secret env, which gateway reads.",
    ]);
    await server.apply(namespace, [object("Secret", "env", { stringData: { b: "PLANTED" } })]);
    expect((await judge(namespace, box)).map(({ what }) => what)).toEqual([
      "The Secret env has no a, which gateway reads.",
    ]);
    await server.apply(namespace, [object("Secret", "env", { stringData: { a: "PLANTED", b: "PLANTED" } })]);
    expect(await judge(namespace, box)).toEqual([]);
    const ground = JSON.stringify(await readGround(server.at(namespace), demandOf(box), "test"));
    expect(ground).toContain('"env":["a","b"]');
    for (const value of ["PLANTED", Buffer.from("PLANTED").toString("base64")])
      expect(ground).not.toContain(value);
  });

  test("refuses a GPU that no node has, and accepts it once a node has enough of them", async () => {
    const namespace = await fresh();
    const pod = podOf({}, { resources: { limits: { "nvidia.com/gpu": 2 } } });
    const box = [workload("model-tiny", pod, { strategy: { type: "Recreate" } })];
    const node = async (name: string, count: string) => {
      await server.apply("default", [{ apiVersion: "v1", kind: "Node", metadata: { name } }], "test");
      const has = { "nvidia.com/gpu": count, cpu: "8", memory: "64Gi" };
      await server.status("default", "node", name, { capacity: has, allocatable: has });
    };
    const what = async () => (await judge(namespace, box)).map((one) => one.what);
    expect(await what()).toEqual(["model-tiny asks for 2 nvidia.com/gpu, and no node has any."]);
    await node("n1", "1");
    expect(await what()).toEqual([
      "model-tiny asks for 2 nvidia.com/gpu on one node, and the largest of the nodes has 1.",
    ]);
    await node("n2", "2");
    expect(await what()).toEqual([]);
    await server.output(["delete", "node", "n1", "n2"]);
  });

  describe.each(EXTENSIONS)("where %s is a kind of another project", (kind) => {
    const file = crdFile(kind);
    const its = EXTENDED[kind];

    test("it is refused with the command that installs it", async () => {
      const [found, ...others] = await judge(await fresh(), [its]);
      expect([found?.level, found?.what, others]).toEqual([
        "refused",
        `The cluster knows no ${kind} of ${its.apiVersion}, which ${its.metadata.name} is.`,
        [],
      ]);
      expect(found?.fix).toMatch(/`(helm install|kubectl apply) /);
    });

    orSkip(test, file ? "" : crdName(kind))("it is accepted once its definition is there", async () => {
      await server.install(file!);
      expect(await judge(await fresh(), [its])).toEqual([]);
    });
  });

  test("tells somebody without rights what they may not do, and where nobody looked", async () => {
    const namespace = await fresh();
    const found = await judge(namespace, [workload("gateway", podOf())], "visitor");
    const denied = found.filter(({ level }) => level === "refused").map(({ what }) => what);
    expect(denied.join()).toContain("You may not do that there");
    expect(found.at(-1)?.what).toContain("so nobody looked there");
  });

  test("refuses a pod that the namespace's level of Pod Security forbids", async () => {
    const root = podOf({ securityContext: { runAsUser: 0 } }, { securityContext: {} });
    const box = [workload("gateway", root)];
    expect(await judge(await fresh("baseline"), box)).toEqual([]);
    const [found, ...others] = await judge(await fresh("restricted"), box);
    expect([found?.level, others]).toEqual(["refused", []]);
    expect(found?.what).toMatch(
      /enforces a stricter Pod Security .* violates PodSecurity "restricted:latest"/,
    );
  });

  test("refuses an object with a field that it does not know", async () => {
    const odd = workload("gateway", podOf({}, { readynessProbe: {} }));
    const said = (await judge(await fresh(), [odd])).map(({ what }) => what);
    // Of the object, and of the pod that it would make.
    expect(said).toEqual([
      expect.stringContaining("readynessProbe"),
      expect.stringContaining("readynessProbe"),
    ]);
    expect(said[1]).toContain('unknown field "spec.containers[0].readynessProbe"');
  });
});

function storageClass(name: string, isDefault: boolean) {
  const annotations = { "storageclass.kubernetes.io/is-default-class": String(isDefault) };
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name, annotations },
    provisioner: "example.com/none",
  };
}
