import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import type { KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { kubernetesObjects } from "../../configs/plan/kubernetes/render";
import type { BoxFiles } from "../../configs/remotes/files";
import { secretManifests } from "../../operations/kubernetes/manifests";
import { packageDir } from "../../platform/project";
import { readModelLock } from "../../platform/stack/modelLock";
import { clusterMistakes, clusterPlan } from "./cluster";
import { locked } from "./engines";
import { testSecrets } from "./stacks";

/** What is locked for the stacks below, and in this project. */
const CLUSTER_LOCK: ModelLock = {
  ...readModelLock(packageDir),
  ...Object.fromEntries(["large", "wide", "sglang"].map((name) => [`hf://acme/${name}`, locked()])),
  "hf://acme/embeds": { unresolved: "The hub did not answer." },
};

/** A stack as a cluster would have it. */
export interface ClusterSide {
  plan: BoxPlan;
  namespace: string;
  /** Without Secrets. */
  objects: KubernetesObject[];
  /** With the values of the test's secrets. */
  secrets: object[];
  /** What of it only one host can do. */
  refused: string[];
}

/** Renders a stack config for a cluster. */
export function clusterSide(values: Record<string, unknown>, boxFiles?: BoxFiles): ClusterSide {
  const around = { lock: CLUSTER_LOCK, boxFiles };
  const plan = clusterPlan(values, around);
  return {
    plan,
    namespace: plan.cluster?.namespace ?? "",
    objects: kubernetesObjects(plan),
    secrets: secretManifests(plan, testSecrets),
    refused: clusterMistakes(values, around),
  };
}

/** The config of a stack file of this project, without the `gpubox:` of its keys. */
export function exampleConfig(file: string): Record<string, unknown> {
  const { config } = parse(readFileSync(join(packageDir, file), "utf8")) as {
    config: Record<string, unknown>;
  };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^gpubox:/, ""), value]),
  );
}

/** Its file is on a volume that somebody filled. */
export const TINY = {
  engine: "llamacpp",
  model: "file:///srv/models/tiny.gguf",
  kubernetes: { weights: { claim: "models" } },
};

const gpus = [0, 1, 2, 3].map((id) => ({ id, memoryGiB: 80, computeCapability: "9.0" }));
const vllm = (device: number, more: Record<string, unknown> = {}) => ({
  engine: "vllm",
  model: "hf://acme/large",
  gpu: { devices: [device] },
  ...more,
});

/** Stacks for a cluster: those of this project, and one of each way to grow. */
export const CLUSTER_STACKS: Record<string, Record<string, unknown>> = {
  "Pulumi.dev.example.yaml": exampleConfig("Pulumi.dev.example.yaml"),
  "templates/project/stack.yaml": exampleConfig("templates/project/stack.yaml"),
  stateless: {
    cache: { mode: "none" },
    database: { mode: "none" },
    models: { tiny: TINY, far: { engine: "openai", baseUrl: "http://far.example:8000/v1" } },
  },
  stores: { cache: { mode: "bundled" }, database: { mode: "bundled" }, backup: {}, models: { tiny: TINY } },
  gpus: {
    host: { gpus },
    cache: { mode: "bundled" },
    models: {
      vllm: vllm(0),
      "sglang.1": { engine: "sglang", model: "hf://acme/sglang", gpu: { devices: [1] } },
      wide: { engine: "vllm", model: "hf://acme/wide", gpu: { devices: [2, 3] } },
      embeds: { engine: "text-embeddings-inference", model: "hf://acme/embeds", mode: "embedding" },
      manual: { ...TINY, start: "manual" },
    },
  },
  "weights on nodes": {
    host: { gpus },
    models: {
      kept: vllm(0, { kubernetes: { replicas: 2, weights: { volume: "node" } } }),
      canned: { engine: "llamacpp", model: "canned", kubernetes: { weights: { volume: "node" } } },
    },
  },
};

/** The same for keys that make objects of other projects. */
export const GROWN_STACK = {
  host: { gpus },
  kubernetes: {
    prometheus: "http://prometheus.monitoring:9090",
    secretStore: { name: "vault", kind: "ClusterSecretStore" },
  },
  models: {
    several: vllm(0, { kubernetes: { replicas: 3, affinity: "client", weights: { volume: "shared" } } }),
    scaled: vllm(1, { kubernetes: { scale: { min: 1, max: 4 }, weights: { volume: "pod" } } }),
    pooled: vllm(2, { kubernetes: { replicas: 2, pool: { picker: "epp" }, weights: { volume: "pod" } } }),
    giant: vllm(3, {
      pipelineParallelSize: 2,
      nodes: {
        network: "fabric",
        address: "10.77.0.1",
        workers: [{ stack: "second", address: "10.77.0.2" }],
      },
      kubernetes: { weights: { volume: "pod" } },
    }),
  },
};

/** The other host of a model in {@link GROWN_STACK}. */
export const GROWN_OTHERS: BoxFiles = {
  second: {
    values: { host: { gpus }, joins: { giant: { stack: "test", gpu: { devices: [0] } } } },
    secrets: [],
  },
};
