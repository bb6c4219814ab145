import { demandOf } from "../../operations/kubernetes/demand";
import { manifests } from "../../operations/kubernetes/manifests";
import { allocate } from "../support/allocate";
import { API_SERVER, ApiServer } from "../support/apiServer";
import {
  CLUSTER_STACKS,
  type ClusterSide,
  clusterSide,
  GROWN_OTHERS,
  GROWN_STACK,
  TINY,
} from "../support/clusterStacks";
import { crdFile, crdName, EXTENSIONS } from "../support/crds";
import { needs, orSkip } from "../support/needs";

needs(...API_SERVER)("a live API server", () => {
  let server: ApiServer;

  beforeAll(async () => {
    server = await ApiServer.start(allocate("objects"));
  });
  afterAll(() => server?.stop());

  /** Makes the stack's namespace as its manifests say, and gives what the server says of all the rest: nothing, or a line each. */
  async function judged({ namespace, objects, secrets }: ClusterSide): Promise<string[]> {
    const made = objects.filter(({ kind }) => kind === "Namespace");
    await server.apply("default", made);
    const rest = objects.filter(({ kind }) => kind !== "Namespace");
    return [
      ...(await server.judge(namespace, [...secrets, ...rest])),
      ...(await server.judgePods(
        namespace,
        demandOf(objects).workloads.map(({ pod }) => pod),
      )),
    ];
  }

  const inNamespace = (name: string, values: Record<string, unknown>) =>
    clusterSide({ ...values, kubernetes: { ...(values.kubernetes ?? {}), namespace: name } }, GROWN_OTHERS);

  test.each(Object.keys(CLUSTER_STACKS))(
    "accepts every object and every pod of the stack %s, and warns of none",
    async (name) => {
      const side = inNamespace(`stack-${Object.keys(CLUSTER_STACKS).indexOf(name)}`, CLUSTER_STACKS[name]!);
      expect(side.refused).toEqual([]);
      expect(await judged(side)).toEqual([]);
    },
  );

  test.each([
    ["gpus", "baseline", "restricted", 1],
    ["weights on nodes", "privileged", "baseline", 2],
  ] as const)(
    "is told the strictest Pod Security that the pods of the stack %s bear, %s: %s would refuse some",
    async (stack, level, stricter, count) => {
      const side = inNamespace(`level-${level}`, CLUSTER_STACKS[stack]!);
      const namespace = side.objects.find(({ kind }) => kind === "Namespace");
      expect(namespace?.metadata.labels?.["pod-security.kubernetes.io/enforce"]).toBe(level);
      await server.namespace(side.namespace, stricter);
      const pods = demandOf(side.objects).workloads.map(({ pod }) => pod);
      const refused = await server.judgePods(side.namespace, pods);
      const violates = expect.stringContaining(`violates PodSecurity "${stricter}:latest"`);
      expect(refused).toEqual(Array.from({ length: count }, () => violates));
    },
  );

  const missing = EXTENSIONS.filter((kind) => !crdFile(kind)).map(crdName);
  orSkip(test, missing.join(", "))(
    "accepts what a model grows by, judged by the kinds' own definitions",
    async () => {
      for (const kind of EXTENSIONS) await server.install(crdFile(kind)!);
      const side = inNamespace("grown", GROWN_STACK);
      expect(side.refused).toEqual([]);
      const external = manifests(side.plan, "external").objects;
      const kinds = new Set(external.map(({ kind }) => kind as string));
      expect(EXTENSIONS.filter((kind) => !kinds.has(kind))).toEqual([]);
      expect(await judged({ ...side, objects: external, secrets: [] })).toEqual([]);
    },
  );

  test("sees a model added as the gateway's config and Deployment and the model's own objects alone", async () => {
    const before = { cache: { mode: "bundled" }, database: { mode: "bundled" }, models: { tiny: TINY } };
    const after = {
      ...before,
      models: { tiny: TINY, more: { ...TINY, model: "file:///srv/models/more.gguf" } },
    };
    const [old, added] = [inNamespace("adding", before), inNamespace("adding", after)];
    await server.apply(
      "default",
      old.objects.filter(({ kind }) => kind === "Namespace"),
    );
    const apply = async ({ objects, secrets }: ClusterSide) => {
      await server.apply("adding", [...secrets, ...objects.filter(({ kind }) => kind !== "Namespace")]);
      return server.contents("adding");
    };
    const first = await apply(old);
    expect(await apply(old)).toEqual(first);
    const second = await apply(added);
    const changed = Object.keys(first).filter((name) => second[name] !== first[name]);
    const made = Object.keys(second).filter((name) => !(name in first));
    expect(changed).toEqual(["Deployment gateway"]);
    expect(made.map(unhashed).sort()).toEqual([
      "ConfigMap backend-more-…",
      "ConfigMap gateway-…",
      "Deployment backend-more",
      "Job prove-more-…",
      "NetworkPolicy backend-more",
      "Secret backend-more-…",
      "Service prove-more-…",
      "Service valve-more",
    ]);
  });
});

/** A name without the hash at its end. */
function unhashed(name: string): string {
  return name.replace(/-[0-9a-f]{8,}$/, "-…");
}
