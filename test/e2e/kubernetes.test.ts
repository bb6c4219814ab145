import { clusterDrift } from "../../operations/drift/clusterDrift";
import { collectClusterDrift } from "../../operations/drift/collectCluster";
import { demandOf } from "../../operations/kubernetes/demand";
import { allocate } from "../support/allocate";
import { ApiServer, CONTROLLERS } from "../support/apiServer";
import { ClusterNodes, type Pod } from "../support/clusterNodes";
import { type ClusterSide, clusterSide } from "../support/clusterStacks";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const NAMESPACE = "gpubox-lab";
const CLASS = "by-hand";
const LARGE = "backend-large";
const GPU = "nvidia.com/gpu";

const far = { engine: "openai", baseUrl: "http://far.example:8000/v1" };

/** A box with two gateways and a model on two GPUs. */
function side(models: Record<string, unknown> = {}): ClusterSide {
  const large = { engine: "vllm", model: "hf://acme/large", gpu: { devices: [0, 1] } };
  return clusterSide({
    host: { gpus: [0, 1].map((id) => ({ id, memoryGiB: 80, computeCapability: "9.0" })) },
    kubernetes: { namespace: NAMESPACE, storageClass: CLASS },
    cache: { mode: "bundled" },
    database: { mode: "none" },
    models: { large, far, ...models },
  });
}

// No kubelet runs: what one would report, the test reports. So this shows what the objects make of the controllers and the scheduler,
// and nothing of what runs in the pods.
needs(...CONTROLLERS)("the scheduler and the controllers of a cluster", () => {
  let server: ApiServer;
  let nodes: ClusterNodes;
  const first = side();

  beforeAll(async () => {
    server = await ApiServer.start(allocate("kubernetes"), { more: "controllers" });
    nodes = new ClusterNodes(server, NAMESPACE);
    for (const name of ["n1", "n2"]) await nodes.add(name);
    await server.apply("default", volumesFor(first), "test");
    await apply(first);
  }, 180_000);
  afterAll(() => server?.stop());

  async function apply({ objects, secrets }: ClusterSide): Promise<void> {
    const namespace = objects.filter(({ kind }) => kind === "Namespace");
    await server.apply("default", namespace);
    // A claim that is bound has a volume's name, which its manifest leaves alone.
    await server.apply(NAMESPACE, [...secrets, ...objects.filter(({ kind }) => kind !== "Namespace")]);
  }

  const gateways = (pods: Pod[]) =>
    pods.filter(({ role, terminating }) => role === "gateway" && !terminating);
  const ready = (pods: Pod[]) => gateways(pods).filter((pod) => pod.ready);
  const generation = ({ labels }: Pod) => labels["gpubox.generation"];
  /** Lets agents act until the pods are as wanted. */
  const settle = (what: string, wanted: (pods: Pod[]) => boolean, starts?: (pod: Pod) => boolean) =>
    until(
      what,
      async () => {
        const pods = await nodes.act(starts);
        return wanted(pods) && pods;
      },
      { everyMs: 500 },
    );

  test("place two gateways on two nodes", async () => {
    const pods = await settle("two gateways are ready", (all) => ready(all).length === 2);
    expect(
      ready(pods)
        .map(({ node }) => node)
        .sort(),
    ).toEqual(["n1", "n2"]);
  });

  test("write nothing that is drift", async () => {
    const before = process.env.KUBECONFIG;
    process.env.KUBECONFIG = server.kubeconfig;
    try {
      const facts = await collectClusterDrift(first.plan);
      expect(facts.found.map(({ kind }) => kind)).toEqual(
        expect.arrayContaining(["Deployment", "Job", "Secret"]),
      );
      const none = { stack: "test", differences: [], configChanged: false, notChecked: [] };
      expect(clusterDrift(first.plan, facts)).toEqual(none);
    } finally {
      if (before === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = before;
    }
  });

  test("let a model's pod wait while no node has its GPUs, and place it once one has", async () => {
    const large = (pods: Pod[]) => pods.find(({ role }) => role === LARGE);
    const pods = await settle("the model's pod waits", (all) => large(all)?.waits.includes(GPU) ?? false);
    expect(large(pods)?.waits).toMatch(/^0\/2 nodes are available: 2 Insufficient nvidia\.com\/gpu/);
    await nodes.add("n2", { [GPU]: "1" });
    expect(large(await nodes.act())?.node).toBeUndefined();
    await nodes.add("n2", { [GPU]: "2" });
    const placed = await settle("the model's pod has a node", (all) => large(all)?.node !== undefined);
    expect(large(placed)?.node).toBe("n2");
  });

  test("take one gateway at a time from nodes that are drained", async () => {
    const [one, other] = ready(await settle("two gateways are ready", (all) => ready(all).length === 2));
    await until("the budget counts them", async () => (await allowed()) === "1");
    expect(await evict(one!)).toBe("");
    expect(await evict(other!)).toContain("it would violate the pod's disruption budget");
    await settle("the first one has a successor", (all) => ready(all).length === 2);
    await until("the budget counts it", async () => (await allowed()) === "1");
    expect(await evict(other!)).toBe("");
    await settle("both have one", (all) => ready(all).length === 2);
  });

  test("keep what serves where a generation never starts, also in place of a pod that is killed meanwhile", async () => {
    const before = await settle("two gateways are ready", (all) => ready(all).length === 2);
    const old = generation(ready(before)[0]!);
    const starts = (pod: Pod) => pod.role !== "gateway" || generation(pod) === old;
    await apply(side({ bad: far }));
    const isNew = (pod: Pod) => generation(pod) !== old;
    const stuck = await settle(
      "a pod of the new generation has a node",
      (all) => gateways(all).some((pod) => isNew(pod) && pod.node),
      starts,
    );
    expect(ready(stuck).map(generation)).toEqual([old, old]);
    const victim = ready(stuck)[0]!;
    await server.output(["delete", "pod", victim.name, "--force", "--grace-period=0"], undefined, NAMESPACE);
    const healed = await settle(
      "the killed one has a successor",
      (all) => ready(all).length === 2 && !all.some(({ name }) => name === victim.name),
      starts,
    );
    expect(ready(healed).map(generation)).toEqual([old, old]);
    await server.output(["rollout", "undo", "deployment/gateway"], undefined, NAMESPACE);
    const back = await settle("no new one is left", (all) => !gateways(all).some(isNew), starts);
    expect(ready(back).map(generation)).toEqual([old, old]);
  });

  test("replace a generation with never less than two that are ready", async () => {
    const before = await settle("two gateways are ready", (all) => ready(all).length === 2);
    const old = generation(ready(before)[0]!);
    await apply(side({ good: far }));
    const counts: number[] = [];
    const after = await settle("both are of the new generation", (all) => {
      counts.push(ready(all).length);
      const all2 = gateways(all);
      return all2.length === 2 && all2.every((pod) => pod.ready && generation(pod) !== old);
    });
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
    expect(new Set(ready(after).map(generation)).size).toBe(1);
  });

  async function allowed(): Promise<string> {
    const path = "jsonpath={.status.disruptionsAllowed}";
    return server.output(["get", "poddisruptionbudget", "gateway", "--output", path], undefined, NAMESPACE);
  }

  /** Asks as whoever drains a node does. Returns why not, or nothing. */
  async function evict({ name }: Pod): Promise<string> {
    const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: NAMESPACE } };
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`;
    const { code, stderr } = await server.kubectl(["create", "--raw", path, "-f", "-"], JSON.stringify(body));
    return code === 0 ? "" : stderr;
  }
});

/** A storage class that makes nothing, and a volume for each claim. */
function volumesFor({ objects }: ClusterSide): object[] {
  const claims = demandOf(objects).claims.flatMap(({ name, bytes, count }) =>
    Array.from({ length: count }, (_, index) => ({ name: `${name}-${index}`, bytes })),
  );
  return [
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: CLASS },
      provisioner: "kubernetes.io/no-provisioner",
    },
    ...claims.map(({ name, bytes }) => ({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name },
      spec: {
        storageClassName: CLASS,
        capacity: { storage: String(bytes) },
        accessModes: ["ReadWriteOnce", "ReadWriteMany"],
        hostPath: { path: `/none/${name}` },
      },
    })),
  ];
}
