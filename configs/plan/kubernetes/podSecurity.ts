import type { KubernetesObject, PodTemplate } from "./objects";

/** Levels of the Pod Security Standards, the strictest first. */
export const LEVELS = ["restricted", "baseline", "privileged"] as const;

export type PodSecurityLevel = (typeof LEVELS)[number];

/** Capabilities that pods of the level `baseline` may add. */
const BASELINE_CAPABILITIES = [
  ...["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"],
  ...["SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"],
];

/** The strictest level that lets all pods of these objects in. */
export function levelOf(objects: KubernetesObject[]): PodSecurityLevel {
  const levels = objects.flatMap(templatesOf).map(podLevel);
  return LEVELS[Math.max(0, ...levels.map((level) => LEVELS.indexOf(level)))]!;
}

/** The strictest level that lets a pod in. */
export function podLevel({ spec }: PodTemplate): PodSecurityLevel {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const added = containers.flatMap(({ securityContext }) => securityContext.capabilities.add ?? []);
  const isUnconfined = spec.securityContext.seccompProfile.type === "Unconfined";
  if (isUnconfined || mountsNode({ spec }) || added.some((name) => !BASELINE_CAPABILITIES.includes(name)))
    return "privileged";
  const isRoot =
    !spec.securityContext.runAsNonRoot ||
    containers.some(({ securityContext }) => securityContext.runAsUser === 0);
  return isRoot || added.some((name) => name !== "NET_BIND_SERVICE") ? "baseline" : "restricted";
}

/** Whether a pod has a directory of its node. */
export function mountsNode({ spec }: Pick<PodTemplate, "spec">): boolean {
  return spec.volumes.some((volume) => "hostPath" in volume);
}

/** The pods that an object makes. */
export function templatesOf(object: KubernetesObject): PodTemplate[] {
  switch (object.kind) {
    case "Deployment":
    case "StatefulSet":
      return [object.spec.template];
    case "Job":
      return [object.spec.template];
    case "CronJob":
      return [object.spec.jobTemplate.spec.template];
    case "LeaderWorkerSet": {
      const { leaderTemplate, workerTemplate } = object.spec.leaderWorkerTemplate;
      return [leaderTemplate, workerTemplate];
    }
    default:
      return [];
  }
}
