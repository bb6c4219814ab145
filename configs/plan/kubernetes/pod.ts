import type { ContainerPlan, HealthPlan } from "../../kit/containerPlan";
import type { BoxPlan } from "../../kit/types";
import { clusterOf, roleLabels } from "./names";
import type {
  Container,
  ContainerSecurity,
  PodSpec,
  PodTemplate,
  Probe,
  TopologySpread,
  Volume,
  VolumeMount,
} from "./objects";

/** Where a container has its files. */
export const CONFIG_DIR = "/etc/gpubox";

/** Variables by which a container of one host is told its devices. A device plugin tells them itself. */
const DEVICE_VARIABLES = ["ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"];

/** A pod finds its own address. */
const ADDRESS_VARIABLES = ["VLLM_HOST_IP"];

/** Seconds between two looks at a pod that starts. */
const ASK_SECONDS = 3;

/** Volumes of a pod with the places where its container has them. */
export interface Mounted {
  volumes: Volume[];
  mounts: VolumeMount[];
}

/**
 * A text that Kubernetes leaves as it is. It fills in `$(NAME)` and makes one dollar sign of two, in commands, environments and probes.
 */
export function literal(text: string): string {
  if (!text.includes("$$") && !text.includes("$(")) return text;
  // What a LeaderWorkerSet fills in, and no text of a config: its variables are in no other pod.
  return text.replaceAll("$", "$$$$").replaceAll("$$(LWS_", "$(LWS_");
}

/** Docker's health check as a probe. The check itself ends a program that hangs, so nothing else needs to. */
export function probe({ test, intervalSeconds, timeoutSeconds, retries }: HealthPlan): Probe {
  const [how, ...words] = test;
  const command = how === "CMD-SHELL" ? ["sh", "-c", ...words] : words;
  return {
    exec: { command: command.map(literal) },
    periodSeconds: intervalSeconds,
    timeoutSeconds,
    failureThreshold: retries,
  };
}

/** The same while it starts: as long as it may take. */
export function startupProbe(health: HealthPlan, readySeconds: number): Probe {
  return {
    ...probe(health),
    periodSeconds: ASK_SECONDS,
    failureThreshold: Math.ceil(readySeconds / ASK_SECONDS),
  };
}

/** What a container plan says, as a container of a pod with these mounts. */
export function containerOf(plan: BoxPlan, c: ContainerPlan, mounts: VolumeMount[]): Container {
  const memory = `${c.memoryMiB}Mi`;
  const env = Object.entries(c.env).filter(
    ([name]) => !(c.gpu && DEVICE_VARIABLES.includes(name)) && !ADDRESS_VARIABLES.includes(name),
  );
  return {
    name: "main",
    image: imageOf(plan, c.image),
    imagePullPolicy: "IfNotPresent",
    command: c.entrypoint.map(literal),
    args: c.command.map(literal),
    ...(env.length > 0 ? { env: env.map(([name, value]) => ({ name, value: variable(name, value) })) } : {}),
    resources: { requests: { memory }, limits: { memory } },
    securityContext: confinement(c),
    startupProbe: startupProbe(c.health, c.readySeconds),
    readinessProbe: probe(c.health),
    volumeMounts: mounts,
  };
}

/** Nobody shares a whole GPU, so nobody waits for a turn on it. */
function variable(name: string, value: string): string {
  return name === "GPUBOX_LOCKS" ? "" : literal(value);
}

/** One that this machine built from a recipe has no registry in its name. */
export function imageOf(plan: BoxPlan, image: string): string {
  const { registry } = clusterOf(plan).settings;
  return registry && isBuiltHere(image) ? `${registry}/${image}` : image;
}

/** Whether an image comes from a recipe, and only machines have it that built or loaded it. */
export function isBuiltHere(image: string): boolean {
  return image.startsWith("gpubox/");
}

function confinement(c: Pick<ContainerPlan, "readOnly" | "capAdd">): ContainerSecurity {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: c.readOnly,
    capabilities: {
      drop: ["ALL"],
      ...(c.capAdd ? { add: c.capAdd.map((name) => name.replace(/^CAP_/, "")) } : {}),
    },
  };
}

/** What pods of Docker's tmpfs and shared memory have: volumes in memory, which count to the container's limit as they do there. */
export function memoryVolumes({ tmpfs, shmMiB }: Pick<ContainerPlan, "tmpfs" | "shmMiB">): Mounted {
  const paths = Object.entries(tmpfs).map(([path, options], index) => ({
    ...{ name: `tmp-${index}`, path },
    size: /size=(\d+)m/.exec(options)?.[1] ?? "64",
  }));
  if (shmMiB) paths.push({ name: "shm", path: "/dev/shm", size: String(shmMiB) });
  return {
    volumes: paths.map(({ name, size }) => ({
      name,
      emptyDir: { medium: "Memory", sizeLimit: `${size}Mi` },
    })),
    mounts: paths.map(({ name, path }) => ({ name, mountPath: path })),
  };
}

/** What a pod says beside its containers. */
export function podSpec(
  plan: BoxPlan,
  c: Pick<ContainerPlan, "user" | "init" | "groupAdd" | "securityOpts" | "stopGraceSeconds">,
  containers: Pick<PodSpec, "containers" | "initContainers" | "volumes">,
): PodSpec {
  const { imagePullSecrets } = clusterOf(plan).settings;
  const [uid = 0, gid = 0] = c.user.split(":").map(Number);
  const isUnconfined = c.securityOpts?.includes("seccomp=unconfined") ?? false;
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: c.stopGraceSeconds,
    ...(c.init ? { shareProcessNamespace: true } : {}),
    ...(imagePullSecrets.length > 0 ? { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) } : {}),
    securityContext: {
      runAsUser: uid,
      runAsGroup: gid,
      runAsNonRoot: uid !== 0,
      fsGroup: gid,
      // A volume of weights has more files than a start should wait for.
      fsGroupChangePolicy: "OnRootMismatch",
      ...(c.groupAdd ? { supplementalGroups: c.groupAdd.map(Number) } : {}),
      seccompProfile: { type: isUnconfined ? "Unconfined" : "RuntimeDefault" },
    },
    ...containers,
  };
}

/** A pod of a part, with the labels that its selectors look for. */
export function template(
  plan: BoxPlan,
  role: string,
  spec: PodSpec,
  labels: Record<string, string> = {},
): PodTemplate {
  return { metadata: { labels: { ...roleLabels(plan, role), ...labels } }, spec };
}

/** Pods of a part on several nodes where there are several, and on one where there is one. */
export function spread(plan: BoxPlan, role: string): TopologySpread[] {
  return [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: roleLabels(plan, role) },
      // Pods of the version before count for nothing: they go.
      matchLabelKeys: ["pod-template-hash"],
    },
  ];
}

/** A container that ends has nothing to be asked. */
export function bare({ startupProbe: _, readinessProbe: __, ...container }: Container): Container {
  return container;
}
