import type { PodSpec } from "../../../configs/plan/kubernetes/objects";
import { kubernetesObjects } from "../../../configs/plan/kubernetes/render";
import { all, clusterMistakes, clusterPlan, find, lossesOf } from "../../support/cluster";
import { spread } from "../../support/twoHosts";

const gpus = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 80 })) };
const big = { engine: "vllm", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 60 } };
const filed = { engine: "llamacpp", model: "file:///models/tiny/tiny.gguf", memoryMiB: 2048 };
const canned = { engine: "llamacpp", model: "canned", memoryMiB: 512 };
const image = `registry.example/models/tiny@sha256:${"ab".repeat(32)}`;
const at = "gpubox:models.m.kubernetes.weights";
const FOLDER = "/srv/gpubox/models/hf/acme/big/main";

function objectsOf(entry: object, weights: object, more: object = {}) {
  const models = { m: { ...entry, kubernetes: { weights, ...more } } };
  return kubernetesObjects(clusterPlan({ host: gpus, models }));
}

function podOf(entry: object, weights: object): PodSpec {
  return find(objectsOf(entry, weights), "Deployment", "backend-m").spec.template.spec;
}

function mistakes(entry: object, kubernetes: object): string[] {
  return clusterMistakes({ host: gpus, models: { m: { ...entry, kubernetes } } });
}

describe("weights that each node keeps", () => {
  const spec = podOf(big, { volume: "node" });
  const [directory, loader] = spec.initContainers!;

  test("lie in a directory of the node, and no claim is made", () => {
    expect(spec.volumes).toContainEqual({
      name: "models",
      hostPath: { path: "/var/lib/gpubox/models", type: "DirectoryOrCreate" },
    });
    const claims = all(objectsOf(big, { volume: "node" }), "PersistentVolumeClaim");
    expect(claims.map(({ metadata }) => metadata.name)).not.toContain("backend-m-weights");
    expect(podOf(big, { volume: "node", directory: "/mnt/nvme/models" }).volumes).toContainEqual({
      name: "models",
      hostPath: { path: "/mnt/nvme/models", type: "DirectoryOrCreate" },
    });
  });

  test("get their directory from a root that may do nothing but hand it over", () => {
    expect(directory).toMatchObject({
      name: "weights-directory",
      command: ["sh", "-c", 'mkdir -p "$@" && chown 65534:65534 "$@"', "gpubox"],
      args: [FOLDER],
      volumeMounts: [{ name: "models", mountPath: "/srv/gpubox/models" }],
    });
    expect(directory!.securityContext).toEqual({
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      capabilities: { drop: ["ALL"], add: ["CHOWN"] },
      ...{ runAsUser: 0, runAsGroup: 0, runAsNonRoot: false },
    });
  });

  test("are written as nobody, who sees that directory alone, whoever the server runs as", () => {
    for (const entry of [big, { ...big, engine: "sglang" }]) {
      const written = podOf(entry, { volume: "node" }).initContainers![1]!;
      expect(written.securityContext).toEqual({
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
        capabilities: { drop: ["ALL"] },
        ...{ runAsUser: 65534, runAsGroup: 65534 },
      });
      expect(written.volumeMounts).toContainEqual({
        ...{ name: "models", mountPath: FOLDER, subPath: "hf/acme/big/main" },
      });
      expect(written.volumeMounts.filter(({ name }) => name === "models")).toHaveLength(1);
    }
    expect(loader!.command.slice(0, 2)).toEqual(["sh", "-c"]);
  });

  test("are read-only for the server", () => {
    expect(spec.containers[0]!.volumeMounts.filter(({ name }) => name === "models")).toEqual([
      { name: "models", mountPath: FOLDER, subPath: "hf/acme/big/main", readOnly: true },
    ]);
  });

  test("have a directory of their own there, too, when they come with gpubox", () => {
    const { initContainers, containers } = podOf(canned, { volume: "node" });
    expect(initContainers![0]!.args).toEqual(["/srv/gpubox/models/gpubox"]);
    const mount = { name: "models", mountPath: "/srv/gpubox/models", subPath: "gpubox" };
    expect(initContainers![1]!.volumeMounts).toContainEqual(mount);
    expect(containers[0]!.volumeMounts).toContainEqual({ ...mount, readOnly: true });
  });

  test("let replicas and the nodes of one model each use what their node has", () => {
    const replicated = objectsOf(big, { volume: "node" }, { replicas: 3 });
    expect(find(replicated, "Deployment", "backend-m").spec.replicas).toBe(3);
    expect(mistakes(big, { replicas: 3, weights: { volume: "node" } })).toEqual([]);
    const hosts = spread(3, 2, { kubernetes: { weights: { volume: "node" } } });
    const boxFiles = Object.fromEntries(
      Object.entries(hosts).map(([name, values]) => [name, { values, secrets: [] }]),
    );
    const around = { stack: "gpu1", boxFiles };
    expect(clusterMistakes(hosts.gpu1!, around)).toEqual([]);
    const set = find(kubernetesObjects(clusterPlan(hosts.gpu1!, around)), "LeaderWorkerSet", "backend-giant");
    for (const template of [
      set.spec.leaderWorkerTemplate.leaderTemplate,
      set.spec.leaderWorkerTemplate.workerTemplate,
    ])
      expect(template.spec.volumes).toContainEqual(
        expect.objectContaining({ hostPath: { path: "/var/lib/gpubox/models", type: "DirectoryOrCreate" } }),
      );
  });

  test("make the namespace's level privileged, which is told with the ways out", () => {
    const level = (weights: object) =>
      find(objectsOf(big, weights), "Namespace", "gpubox-test").metadata.labels![
        "pod-security.kubernetes.io/enforce"
      ];
    expect([level({ volume: "node" }), level({ volume: "pod" })]).toEqual(["privileged", "restricted"]);
    const told = (weights: object) =>
      lossesOf({ host: gpus, models: { m: { ...big, kubernetes: { weights } } } }).filter((loss) =>
        /Pod Security|deletes their directory/.test(loss),
      );
    expect(told({ volume: "node" })).toEqual([
      'Pod Security lets pods have a directory of their node at the level "privileged" alone, so the whole namespace has it: backend-m. Where that may not be, write another weights.volume, or give these models a stack of their own.',
      "Nobody removes a model's files from nodes: those that no stack uses stay until somebody deletes their directory.",
    ]);
    expect(told({ volume: "pod" })).toEqual([]);
  });
});

describe("weights in an image", () => {
  test("are mounted read-only where the server looks for them, and nothing is loaded", () => {
    const spec = podOf(filed, { image });
    expect(spec.volumes).toContainEqual({
      name: "given",
      image: { reference: image, pullPolicy: "IfNotPresent" },
    });
    expect(spec.containers[0]!.volumeMounts).toContainEqual({
      ...{ name: "given", mountPath: "/models/tiny", readOnly: true },
    });
    expect(spec.initContainers).toBeUndefined();
    const objects = objectsOf(filed, { image });
    expect(all(objects, "PersistentVolumeClaim").map(({ metadata }) => metadata.name)).not.toContain(
      "backend-m-weights",
    );
    expect(find(objects, "Namespace", "gpubox-test").metadata.labels).toMatchObject({
      "pod-security.kubernetes.io/enforce": "restricted",
    });
  });

  test("are every pod's, so that replicas may be on several nodes", () => {
    expect(mistakes(filed, { replicas: 3, weights: { image } })).toEqual([]);
  });
});

describe("where a model's files are to be is refused, with the way out", () => {
  test.each<[string, object, object, string]>([
    [
      "a size of a node's directory",
      big,
      { weights: { volume: "node", sizeGiB: 50 } },
      `${at}.sizeGiB: A directory of a node has no storage class, and is as large as its disk. Take it out, or write volume: own.`,
    ],
    [
      "a storage class of a node's directory",
      big,
      { weights: { volume: "node", storageClass: "fast" } },
      `${at}.storageClass: A directory of a node has no storage class, and is as large as its disk. Take it out, or write volume: own.`,
    ],
    [
      "a directory of no node",
      big,
      { weights: { volume: "pod", directory: "/mnt/models" } },
      `${at}.directory: Only nodes that keep the files have a directory of them. Write volume: node, or take it out.`,
    ],
    [
      "an image and a claim",
      filed,
      { weights: { image, claim: "models" } },
      `${at}.image: A claim holds the same files. Take one of them out.`,
    ],
    [
      "an image and a volume",
      filed,
      { weights: { image, volume: "node" } },
      `${at}.volume: The image holds all of the model's files, so that it has no volume. Take it out, or take the image out.`,
    ],
    [
      "an image and a size",
      filed,
      { weights: { image, sizeGiB: 5 } },
      `${at}.sizeGiB: The image holds all of the model's files, so that it has no volume. Take it out, or take the image out.`,
    ],
    [
      "an image of a model that a hub has",
      big,
      { weights: { image } },
      `${at}.image: An image holds the files of a file:/// source, and all of this model come from elsewhere. Write model: file:///models/NAME, the directory at which the image is mounted; or take it out.`,
    ],
  ])("%s", (_, entry, kubernetes, mistake) => {
    expect(mistakes(entry, kubernetes)).toEqual([mistake]);
  });

  test("once for all servers of an entry", () => {
    const entry = { ...filed, instances: [{}, {}] };
    expect(mistakes(entry, { weights: { image, claim: "models" } })).toHaveLength(1);
  });

  test.each([
    ["directory", "models"],
    ["directory", "/"],
    ["directory", "/var/../etc"],
    ["image", "Registry.example/tiny"],
    ["image", "tiny@sha256:abc"],
  ])("%s: %s is no value", (key, value) => {
    expect(() => mistakes(big, { weights: { [key]: value } })).toThrow(`${at}.${key}`);
  });
});
