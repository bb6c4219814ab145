import type { ClusterObject } from "../../operations/kubernetes/demand";
import type { ClusterGround } from "../../operations/kubernetes/ground";

/** A pod that Pod Security "restricted" accepts. */
export function podOf(more: Record<string, unknown> = {}, container: Record<string, unknown> = {}) {
  return {
    securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "main",
        image: "gpubox/any:1",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        ...container,
      },
    ],
    ...more,
  };
}

/** An object with pods, as a box has it, of the stack "test". */
export function workload(
  name: string,
  pod: Record<string, unknown>,
  spec: Record<string, unknown> = {},
): ClusterObject & { spec: object } {
  const labels = { "gpubox.stack": "test", "gpubox.role": name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, labels },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name, ...labels } }, spec: pod },
      ...spec,
    },
  };
}

/** Another object of the stack "test". */
export function object(
  kind: string,
  name: string,
  fields: Record<string, unknown> = {},
  apiVersion = "v1",
): ClusterObject {
  return { apiVersion, kind, metadata: { name, labels: { "gpubox.stack": "test" } }, ...fields };
}

export function claim(name: string, storage: string, storageClassName?: string): ClusterObject {
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } }, storageClassName };
  return object("PersistentVolumeClaim", name, { spec });
}

/** A cluster on which everything that asks for no GPU runs. */
export const firmCluster: ClusterGround = {
  namespace: { labels: {}, terminating: false },
  present: [],
  quotas: [],
  named: [],
  own: {},
  ownStorage: 0,
  storageClasses: [{ name: "standard", isDefault: true }],
  nodes: [{ name: "n1", labels: {}, allocatable: { cpu: 8, memory: 2 ** 35 }, schedulable: true }],
  secrets: {},
  kinds: [],
  refusals: [],
  unread: [],
};
