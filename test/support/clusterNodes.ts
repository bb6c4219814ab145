import { z } from "zod";
import type { ApiServer } from "./apiServer";

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        uid: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
        deletionTimestamp: z.string().optional(),
      }),
      spec: z.object({ nodeName: z.string().optional(), volumes: z.array(z.unknown()).default([]) }),
      status: z
        .object({
          phase: z.string().optional(),
          conditions: z
            .array(z.object({ type: z.string(), status: z.string(), message: z.string().optional() }))
            .default([]),
        })
        .prefault({}),
    }),
  ),
});

/** A pod as a test asks for it. */
export interface Pod {
  name: string;
  role: string;
  labels: Record<string, string>;
  /** Undefined while it waits for a node. */
  node?: string;
  ready: boolean;
  terminating: boolean;
  /** Why no node takes it; empty where one did. */
  waits: string;
  /** Names of ConfigMaps and Secrets that it mounts are in here. */
  volumes: string;
}

/** The pods of a namespace. */
export async function readPods(server: ApiServer, namespace: string): Promise<Pod[]> {
  const text = await server.output(["get", "pods", "--output", "json"], undefined, namespace);
  return podList.parse(JSON.parse(text)).items.map(({ metadata, spec, status }) => {
    const condition = (type: string) => status.conditions.find((one) => one.type === type);
    return {
      name: metadata.name,
      role: metadata.labels["gpubox.role"] ?? "",
      labels: metadata.labels,
      node: spec.nodeName,
      ready: condition("Ready")?.status === "True",
      terminating: metadata.deletionTimestamp !== undefined,
      waits: spec.nodeName ? "" : (condition("PodScheduled")?.message ?? ""),
      volumes: JSON.stringify(spec.volumes),
    };
  });
}

/** Nodes without machines: what a node's agent would report, a test says. */
export class ClusterNodes {
  constructor(
    private readonly server: ApiServer,
    private readonly namespace: string,
  ) {}

  /** Adds a node, or changes what it has. */
  async add(name: string, more: Record<string, string> = {}): Promise<void> {
    const labels = { "kubernetes.io/hostname": name };
    await this.server.apply(
      "default",
      [{ apiVersion: "v1", kind: "Node", metadata: { name, labels } }],
      "test",
    );
    const has = { cpu: "32", memory: "256Gi", pods: "50", "ephemeral-storage": "1Ti", ...more };
    const conditions = [{ type: "Ready", status: "True", reason: "Test", message: "" }];
    await this.server.status("default", "node", name, { capacity: has, allocatable: has, conditions });
  }

  pods(): Promise<Pod[]> {
    return readPods(this.server, this.namespace);
  }

  /**
   * Does once what agents do: starts pods that a node has, and ends those that are to go.
   *
   * @param starts whether a pod becomes ready. Default: each does
   * @returns the pods as they were before
   */
  async act(starts: (pod: Pod) => boolean = () => true): Promise<Pod[]> {
    const pods = await this.pods();
    const started = { type: "Ready", status: "True" };
    for (const pod of pods.filter(({ node, terminating, ready }) => node && !terminating && !ready))
      if (starts(pod))
        await this.server.status(this.namespace, "pod", pod.name, {
          phase: "Running",
          conditions: [
            { type: "PodScheduled", status: "True" },
            { ...started, type: "ContainersReady" },
            started,
          ],
        });
    const gone = pods.filter(({ terminating }) => terminating).map(({ name }) => name);
    if (gone.length > 0)
      await this.server.output(
        ["delete", "pod", "--force", "--grace-period=0", "--wait=false", "--ignore-not-found", ...gone],
        undefined,
        this.namespace,
      );
    return pods;
  }
}
