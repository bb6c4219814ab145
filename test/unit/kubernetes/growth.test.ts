import { kubernetesObjects } from "../../../configs/plan/kubernetes/render";
import { all, clusterMistakes, clusterPlan, find } from "../../support/cluster";
import { spread } from "../../support/twoHosts";

const gpus = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 80 })) };
const entry = (kubernetes: Record<string, unknown>) => ({
  host: gpus,
  kubernetes: { prometheus: "http://prometheus.monitoring:9090", monitoring: "monitoring" },
  models: {
    big: {
      ...{ engine: "vllm", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 60 } },
      kubernetes: { weights: { volume: "pod" }, ...kubernetes },
    },
  },
});
const objectsOf = (kubernetes: Record<string, unknown>) => kubernetesObjects(clusterPlan(entry(kubernetes)));

test("replicas take turns when they are replaced, are spread over nodes, and each loads its own files", () => {
  const objects = objectsOf({ replicas: 3 });
  const { spec } = find(objects, "Deployment", "backend-big");
  expect(spec.replicas).toBe(3);
  expect(spec.strategy).toEqual({ type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } });
  expect(spec.template.spec.topologySpreadConstraints).toHaveLength(1);
  expect(spec.template.spec.volumes).toContainEqual({
    name: "models",
    ephemeral: {
      volumeClaimTemplate: {
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "100Gi" } } },
      },
    },
  });
  expect(all(objects, "PersistentVolumeClaim").map(({ metadata }) => metadata.name)).not.toContain(
    "backend-big-weights",
  );
  expect(find(objects, "PodDisruptionBudget", "backend-big").spec.maxUnavailable).toBe(1);
});

test("shared weights are one claim that many nodes read", () => {
  const objects = objectsOf({ replicas: 2, weights: { volume: "shared", storageClass: "nfs", sizeGiB: 70 } });
  expect(find(objects, "PersistentVolumeClaim", "backend-big-weights").spec).toEqual({
    accessModes: ["ReadWriteMany"],
    storageClassName: "nfs",
    resources: { requests: { storage: "70Gi" } },
  });
});

test("affinity keeps a gateway's requests at one pod; without it nothing does", () => {
  const affinity = (kubernetes: Record<string, unknown>) =>
    find(objectsOf({ replicas: 2, ...kubernetes }), "Service", "valve-big").spec.sessionAffinity;
  expect(affinity({ affinity: "client" })).toBe("ClientIP");
  expect(affinity({})).toBeUndefined();
});

test("KEDA counts the pods by the queue's length, above a floor, and nobody else does", () => {
  const objects = objectsOf({ scale: { min: 2, max: 6, waiting: 8 } });
  expect(find(objects, "Deployment", "backend-big").spec.replicas).toBeUndefined();
  const { apiVersion, spec } = find(objects, "ScaledObject", "backend-big");
  expect(apiVersion).toBe("keda.sh/v1alpha1");
  expect(spec).toMatchObject({
    ...{ scaleTargetRef: { name: "backend-big" }, minReplicaCount: 2, maxReplicaCount: 6 },
    triggers: [
      {
        type: "prometheus",
        metadata: {
          serverAddress: "http://prometheus.monitoring:9090",
          query:
            'sum({__name__="vllm:num_requests_waiting",namespace="gpubox-test",pod=~"backend-big-[a-z0-9]+-[a-z0-9]+"}) or vector(0)',
          threshold: "8",
        },
      },
    ],
  });
  expect(find(objects, "NetworkPolicy", "backend-big").spec.ingress![0]!.from).toContainEqual({
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } },
  });
});

test("a floor of nothing, and a ceiling below the floor, are mistakes of the config", () => {
  const said = (scale: Record<string, number>) => {
    try {
      objectsOf({ scale });
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  expect(said({ min: 0, max: 2 })).toContain("gpubox:models.big.kubernetes.scale.min");
  expect(said({ min: 3, max: 2 })).toContain("`max` is less than `min`.");
});

test("a pool has the model's pods, and its router gets what went to them", () => {
  const router = { "app.kubernetes.io/name": "llm-d-router" };
  const objects = objectsOf({ replicas: 2, pool: { picker: "big-epp", router, routerPort: 8081 } });
  const [port] = find(objects, "Service", "valve-big").spec.ports;
  expect(find(objects, "InferencePool", "backend-big").spec).toEqual({
    selector: { matchLabels: { "gpubox.stack": "test", "gpubox.role": "backend-big" } },
    targetPorts: [{ number: port!.port }],
    endpointPickerRef: { name: "big-epp", port: { number: 9002 }, failureMode: "FailOpen" },
  });
  expect(find(objects, "Service", "valve-big").spec.selector).toEqual(router);
  expect(port!.targetPort).toBe(8081);
  expect(find(objects, "NetworkPolicy", "backend-big").spec.ingress![0]!.from).toContainEqual({
    podSelector: { matchLabels: router },
  });
});

const hosts = spread(3, 2, { kubernetes: { weights: { volume: "pod" } } });
const boxFiles = Object.fromEntries(
  Object.entries(hosts).map(([name, values]) => [name, { values, secrets: [] }]),
);
const around = { stack: "gpu1", boxFiles };

test("a model over several nodes is a LeaderWorkerSet whose first node answers for all", () => {
  const objects = kubernetesObjects(clusterPlan(hosts.gpu1!, around));
  expect(all(objects, "Deployment").map(({ metadata }) => metadata.name)).toEqual([
    "cache",
    "edge",
    "gateway",
  ]);
  const { replicas, leaderWorkerTemplate } = find(objects, "LeaderWorkerSet", "backend-giant").spec;
  expect([replicas, leaderWorkerTemplate.size]).toEqual([1, 3]);
  const { leaderTemplate, workerTemplate } = leaderWorkerTemplate;
  const after = (words: string[], flag: string) => words[words.indexOf(flag) + 1];
  const [leader, worker] = [leaderTemplate, workerTemplate].map(({ spec }) => spec.containers[0]!);
  expect(after(leader!.args, "--nnodes")).toBe("3");
  expect(after(leader!.args, "--node-rank")).toBe("0");
  expect(after(leader!.args, "--master-addr")).toBe("$(LWS_LEADER_ADDRESS)");
  expect(after(worker!.args, "--node-rank")).toBe("$(LWS_WORKER_INDEX)");
  expect(after(worker!.args, "--master-port")).toBe(after(leader!.args, "--master-port"));
  expect(worker!.args).toContain("--headless");
  expect(leader!.args).not.toContain("--headless");
  expect(leader!.resources.limits["nvidia.com/gpu"]).toBe("2");
  expect(leader!.readinessProbe).toBeDefined();
  expect(worker!.readinessProbe).toBeUndefined();
  expect([...leader!.env!, ...worker!.env!].map(({ name }) => name)).not.toContain("VLLM_HOST_IP");
  expect(JSON.stringify(objects)).not.toContain("10.77.0.");
  expect(find(objects, "Service", "valve-giant").spec.selector).toEqual(leaderTemplate.metadata.labels);
  expect(workerTemplate.metadata.labels).toEqual({ "gpubox.stack": "gpu1", "gpubox.role": "worker-giant" });
  expect(find(objects, "NetworkPolicy", "worker-giant").spec.ingress).toEqual([
    {
      from: ["backend-giant", "worker-giant"].map((role) => ({
        podSelector: { matchLabels: { "gpubox.stack": "gpu1", "gpubox.role": role } },
      })),
    },
  ]);
});

test("its nodes cannot share a volume of one, and the stacks of other hosts are not a cluster's", () => {
  expect(clusterMistakes(spread(2, 2).gpu1!, { ...around, boxFiles: files(spread(2, 2)) })).toEqual([
    expect.stringMatching(/^gpubox:models\.giant\.kubernetes\.weights\.volume: /),
  ]);
  expect(clusterMistakes(hosts.gpu2!, { stack: "gpu2", boxFiles })).toEqual([
    expect.stringMatching(
      /^gpubox:joins\.giant: A cluster places all parts of a model over several nodes itself\./,
    ),
  ]);
});

function files(all: Record<string, Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(all).map(([name, values]) => [name, { values, secrets: [] }]));
}
