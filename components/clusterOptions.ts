import type * as pulumi from "@pulumi/pulumi";
import type { KubernetesObject, ObjectMeta } from "../configs/plan/kubernetes/objects";
import { roleOf } from "../configs/plan/kubernetes/order";
import { templatesOf } from "../configs/plan/kubernetes/podSecurity";
import { BACKUP_ROLE, DATABASE_ROLE } from "../configs/plan/kubernetes/roles";

/** Seconds that a change may take beyond what the cluster itself allows it: then the cluster says why. */
const MARGIN_SECONDS = 60;

/** Seconds until a store is ready: its image, its volume, a recovery. */
const STORE_SECONDS = 900;

/** Seconds until a server over several nodes has loaded. */
const GROUP_SECONDS = 7200;

/** Annotations by which the provider knows what to wait for. It keeps them to itself and the object. */
const AWAIT: Partial<Record<KubernetesObject["kind"], Record<string, string>>> = {
  // It would wait for pods, which come after it.
  Service: { "pulumi.com/skipAwait": "true" },
  // A class may bind it when its first pod comes.
  PersistentVolumeClaim: { "pulumi.com/skipAwait": "true" },
  ScaledObject: { "pulumi.com/skipAwait": "true" },
  InferencePool: { "pulumi.com/skipAwait": "true" },
  LeaderWorkerSet: { "pulumi.com/waitFor": "condition=Available" },
  // One that failed is made anew by the next run; without it, the next run would fail by the old one.
  Job: { "pulumi.com/replaceUnready": "true" },
};

/**
 * Who owns fields, for the API server. By default the provider makes a name up for each object and keeps it in the state. An object
 * that outlives its state would then refuse each changed field, because a name that nobody knows any more still owns it.
 */
const OWNER = { "pulumi.com/patchFieldManager": "gpubox" };

/** An object that tells the provider what to wait for, and as whom to write. */
export function withProviderNotes<
  Object extends { kind: KubernetesObject["kind"] | "Secret"; metadata: ObjectMeta },
>(object: Object): Object {
  const { kind, metadata } = object;
  const notes = kind === "Secret" ? {} : AWAIT[kind];
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...OWNER, ...notes } },
  };
}

/** How Pulumi treats an object: how long a change may take, and what outlives the stack. */
export function kubernetesOptions(object: KubernetesObject): pulumi.CustomResourceOptions {
  const seconds = changeSeconds(object);
  const [pod] = templatesOf(object);
  return {
    ...(isKept(object) ? { retainOnDelete: true } : {}),
    ...(seconds === undefined
      ? {}
      : {
          customTimeouts: {
            create: `${seconds}s`,
            update: `${seconds}s`,
            delete: `${(pod?.spec.terminationGracePeriodSeconds ?? 0) + 2 * MARGIN_SECONDS}s`,
          },
        }),
  };
}

function changeSeconds(object: KubernetesObject): number | undefined {
  switch (object.kind) {
    case "Deployment":
      return object.spec.progressDeadlineSeconds + MARGIN_SECONDS;
    case "Job":
      return object.spec.activeDeadlineSeconds + MARGIN_SECONDS;
    case "StatefulSet":
      return STORE_SECONDS;
    case "LeaderWorkerSet":
      return GROUP_SECONDS;
    default:
      return undefined;
  }
}

/** Data outlives the stack, as volumes do on a host. A namespace takes what is in it along. */
function isKept(object: KubernetesObject): boolean {
  if (object.kind === "Namespace") return true;
  return object.kind === "PersistentVolumeClaim" && [DATABASE_ROLE, BACKUP_ROLE].includes(roleOf(object));
}
