import { checkCluster } from "../../operations/kubernetes/check";
import { type ClusterObject, demandOf } from "../../operations/kubernetes/demand";
import type { GroundFinding } from "../../operations/kubernetes/finding";
import { readGround } from "../../operations/kubernetes/ground";
import { allocate } from "../support/allocate";
import { API_SERVER, ApiServer } from "../support/apiServer";
import { clusterSide } from "../support/clusterStacks";
import { needs } from "../support/needs";

const NAMESPACE = "gpubox-images";
const LEVEL = "pod-security.kubernetes.io/enforce";
const IMAGE = `registry.example/models/tiny@sha256:${"ab".repeat(32)}`;

/** A box whose model's files are in an image, or on nodes. */
function side(weights: object = { image: IMAGE }, kubernetes: object = {}) {
  const model = "image" in weights ? "file:///models/tiny/tiny.gguf" : "canned";
  return clusterSide({
    ...{ cache: { mode: "none" }, database: { mode: "none" } },
    kubernetes: { namespace: NAMESPACE, ...kubernetes },
    models: { tiny: { engine: "llamacpp", model, kubernetes: { replicas: 2, weights } } },
  });
}

const KEY = "gpubox:models.tiny.kubernetes.weights.image";
const DROPPED = [
  [
    "refused",
    KEY,
    "The API server drops volumes that are images, and backend-tiny would start without the model's files.",
  ],
];

needs(...API_SERVER).each([
  ["has volumes of images", "ImageVolume=true"],
  ["has them off, as its version has", ""],
])("a live API server that %s", (_, gates) => {
  let server: ApiServer;
  const isOn = gates !== "";

  beforeAll(async () => {
    server = await ApiServer.start(allocate("images"), { gates });
  });
  afterAll(() => server?.stop());

  const models = { "backend-tiny": "tiny" };
  const check = async (objects: ClusterObject[]) => {
    const found = await checkCluster(server.at(NAMESPACE), "test", objects, models);
    // No test here is about Secrets.
    return told(found.filter(({ what }) => !what.startsWith("There is no Secret")));
  };

  test("is asked before the namespace is there, and nothing is made by the question", async () => {
    expect(await check(side().objects)).toEqual(isOn ? [] : DROPPED);
    expect(await server.output(["get", "pods", "--all-namespaces", "--output", "name"])).toBe("");
  });

  test("says to somebody who may see namespaces and make no pods that nobody looked", async () => {
    await server.output(["create", "clusterrole", "looks", "--verb=get", "--resource=namespaces"]);
    await server.output(["create", "clusterrolebinding", "looks", "--clusterrole=looks", "--group=visitors"]);
    const ground = await readGround(server.at(NAMESPACE, "visitor"), demandOf(side().objects), "test");
    expect(ground).toMatchObject({ unread: expect.arrayContaining(["volumes of images"]) });
  });

  test("is asked in the namespace, at the level restricted", async () => {
    const { objects } = side();
    const namespace = objects.filter(({ kind }) => kind === "Namespace");
    expect(namespace[0]!.metadata.labels).toMatchObject({ [LEVEL]: "restricted" });
    await server.apply("default", namespace);
    expect(await check(objects)).toEqual(isOn ? [] : DROPPED);
  });

  test("keeps the pod's volume, or drops it and its mount without a word", async () => {
    const pods = demandOf(side().objects).workloads.filter(({ name }) => name === "backend-tiny");
    const args = ["create", "--dry-run=server", "--validate=strict", "--output", "json", "--filename", "-"];
    const text = await server.output(args, JSON.stringify(pods[0]!.pod), NAMESPACE);
    const { spec } = JSON.parse(text) as {
      spec: { volumes: { name: string; image?: object }[]; containers: { volumeMounts: object[] }[] };
    };
    const given = spec.volumes.filter(({ name }) => name === "given");
    expect(given).toEqual(
      isOn ? [{ name: "given", image: { reference: IMAGE, pullPolicy: "IfNotPresent" } }] : [],
    );
    const mount = { name: "given", mountPath: "/models/tiny", readOnly: true };
    const mounts = spec.containers[0]!.volumeMounts;
    if (isOn) expect(mounts).toContainEqual(mount);
    else expect(mounts).not.toContainEqual(mount);
  });

  test("takes pods with a directory of their node in a namespace that was stricter, because that changes along", async () => {
    const objects: ClusterObject[] = side({ volume: "node" }).objects;
    const there = await server.output(["get", "namespace", NAMESPACE, "--output", "json"]);
    expect(JSON.parse(there)).toMatchObject({ metadata: { labels: { [LEVEL]: "restricted" } } });
    expect(await check(objects)).toEqual([]);
    const kept = side({ volume: "node" }, { makeNamespace: false }).objects;
    expect(await check(kept)).toEqual([
      [
        "refused",
        "gpubox:kubernetes.namespace",
        expect.stringContaining('volume "models" uses restricted volume type "hostPath"'),
      ],
    ]);
  });
});

function told(found: GroundFinding[]) {
  return found.map(({ level, path, what }) => [level, path, what]);
}
