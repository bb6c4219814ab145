/** Objects of Kubernetes as plain data, as far as gpubox makes them. */

export interface ObjectMeta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

interface Base<Kind extends string, Version extends string> {
  apiVersion: Version;
  kind: Kind;
  metadata: ObjectMeta;
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: "In" | "Exists"; values?: string[] }[];
}

export type Namespace = Base<"Namespace", "v1">;

export interface ConfigMap extends Base<"ConfigMap", "v1"> {
  immutable: true;
  data: Record<string, string>;
}

/** Its values are never in an object: see {@link SecretPlan}. */
export interface ExternalSecret extends Base<"ExternalSecret", "external-secrets.io/v1"> {
  spec: {
    secretStoreRef: { name: string; kind: string };
    refreshPolicy: "CreatedOnce";
    target: { name: string; creationPolicy: "Owner"; immutable: true };
    data: { secretKey: string; remoteRef: { key: string; property: string } }[];
  };
}

export interface PersistentVolumeClaimSpec {
  accessModes: ("ReadWriteOnce" | "ReadWriteMany")[];
  storageClassName?: string;
  resources: { requests: { storage: string } };
}

export interface PersistentVolumeClaim extends Base<"PersistentVolumeClaim", "v1"> {
  spec: PersistentVolumeClaimSpec;
}

export interface ServicePort {
  name: string;
  port: number;
  targetPort: number;
  protocol: "TCP";
}

export interface Service extends Base<"Service", "v1"> {
  spec: {
    type: "ClusterIP" | "NodePort" | "LoadBalancer";
    clusterIP?: "None";
    selector: Record<string, string>;
    ports: ServicePort[];
    sessionAffinity?: "ClientIP";
  };
}

export type VolumeSource =
  | { projected: { defaultMode: number; sources: ProjectedSource[] } }
  | { emptyDir: { medium?: "Memory"; sizeLimit?: string } }
  | { persistentVolumeClaim: { claimName: string; readOnly?: boolean } }
  | { hostPath: { path: string; type: "DirectoryOrCreate" } }
  | { image: { reference: string; pullPolicy: "IfNotPresent" } }
  | { ephemeral: { volumeClaimTemplate: { spec: PersistentVolumeClaimSpec } } };

export interface KeyToPath {
  key: string;
  path: string;
  mode?: number;
}

export type ProjectedSource =
  | { configMap: { name: string; items?: KeyToPath[] } }
  | { secret: { name: string; items?: KeyToPath[] } };

export type Volume = { name: string } & VolumeSource;

export interface VolumeMount {
  name: string;
  mountPath: string;
  subPath?: string;
  readOnly?: boolean;
}

export interface Probe {
  exec: { command: string[] };
  periodSeconds: number;
  timeoutSeconds: number;
  failureThreshold: number;
}

export interface ContainerSecurity {
  allowPrivilegeEscalation: false;
  readOnlyRootFilesystem: boolean;
  capabilities: { drop: ["ALL"]; add?: string[] };
  /** Only where it differs from the pod's. */
  runAsUser?: number;
  runAsGroup?: number;
  runAsNonRoot?: boolean;
}

export interface Container {
  name: string;
  image: string;
  imagePullPolicy: "IfNotPresent";
  command: string[];
  args: string[];
  env?: { name: string; value: string }[];
  ports?: { name: string; containerPort: number; protocol: "TCP" }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  securityContext: ContainerSecurity;
  startupProbe?: Probe;
  readinessProbe?: Probe;
  lifecycle?: { preStop: { exec: { command: string[] } } };
  volumeMounts: VolumeMount[];
}

export interface TopologySpread {
  maxSkew: 1;
  topologyKey: "kubernetes.io/hostname";
  whenUnsatisfiable: "ScheduleAnyway";
  labelSelector: LabelSelector;
  matchLabelKeys?: ["pod-template-hash"];
}

export interface PodSpec {
  automountServiceAccountToken: false;
  enableServiceLinks: false;
  restartPolicy?: "Never" | "OnFailure";
  terminationGracePeriodSeconds: number;
  shareProcessNamespace?: true;
  imagePullSecrets?: { name: string }[];
  nodeSelector?: Record<string, string>;
  tolerations?: { key: string; operator: "Exists"; effect: "NoSchedule" }[];
  topologySpreadConstraints?: TopologySpread[];
  securityContext: {
    runAsUser: number;
    runAsGroup: number;
    runAsNonRoot: boolean;
    fsGroup: number;
    fsGroupChangePolicy: "OnRootMismatch";
    supplementalGroups?: number[];
    seccompProfile: { type: "RuntimeDefault" | "Unconfined" };
  };
  initContainers?: Container[];
  containers: Container[];
  volumes: Volume[];
}

export interface PodTemplate {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface Deployment extends Base<"Deployment", "apps/v1"> {
  spec: {
    /** Absent where something else counts the pods. */
    replicas?: number;
    revisionHistoryLimit: number;
    progressDeadlineSeconds: number;
    strategy:
      | { type: "Recreate" }
      | { type: "RollingUpdate"; rollingUpdate: { maxUnavailable: number; maxSurge: number } };
    selector: { matchLabels: Record<string, string> };
    template: PodTemplate;
  };
}

export interface StatefulSet extends Base<"StatefulSet", "apps/v1"> {
  spec: {
    serviceName: string;
    replicas: number;
    revisionHistoryLimit: number;
    selector: { matchLabels: Record<string, string> };
    template: PodTemplate;
  };
}

export interface JobSpec {
  backoffLimit: number;
  activeDeadlineSeconds: number;
  template: PodTemplate;
}

export interface Job extends Base<"Job", "batch/v1"> {
  spec: JobSpec;
}

export interface CronJob extends Base<"CronJob", "batch/v1"> {
  spec: {
    schedule: string;
    concurrencyPolicy: "Forbid";
    successfulJobsHistoryLimit: number;
    failedJobsHistoryLimit: number;
    jobTemplate: { spec: JobSpec };
  };
}

export interface PodDisruptionBudget extends Base<"PodDisruptionBudget", "policy/v1"> {
  spec: { maxUnavailable: number; unhealthyPodEvictionPolicy: "AlwaysAllow"; selector: LabelSelector };
}

export interface NetworkPolicyPeer {
  podSelector?: LabelSelector;
  namespaceSelector?: LabelSelector;
}

export interface NetworkPolicyPort {
  port: number;
  protocol: "TCP" | "UDP";
}

export interface NetworkPolicy extends Base<"NetworkPolicy", "networking.k8s.io/v1"> {
  spec: {
    podSelector: LabelSelector;
    policyTypes: ("Ingress" | "Egress")[];
    ingress?: { from?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[];
    egress?: { to?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[];
  };
}

export interface ScaledObject extends Base<"ScaledObject", "keda.sh/v1alpha1"> {
  spec: {
    scaleTargetRef: { name: string };
    minReplicaCount: number;
    maxReplicaCount: number;
    cooldownPeriod: number;
    triggers: { type: "prometheus"; metadata: Record<string, string> }[];
  };
}

export interface LeaderWorkerSet extends Base<"LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"> {
  spec: {
    replicas: number;
    startupPolicy: "LeaderCreated";
    rolloutStrategy: {
      type: "RollingUpdate";
      rollingUpdateConfiguration: { maxUnavailable: number; maxSurge: number };
    };
    leaderWorkerTemplate: {
      size: number;
      restartPolicy: "RecreateGroupOnPodRestart";
      leaderTemplate: PodTemplate;
      workerTemplate: PodTemplate;
    };
  };
}

export interface InferencePool extends Base<"InferencePool", "inference.networking.k8s.io/v1"> {
  spec: {
    selector: { matchLabels: Record<string, string> };
    targetPorts: { number: number }[];
    endpointPickerRef: { name: string; port: { number: number }; failureMode: "FailOpen" };
  };
}

/** What gpubox makes on a cluster. */
export type KubernetesObject =
  | Namespace
  | ConfigMap
  | ExternalSecret
  | PersistentVolumeClaim
  | Service
  | Deployment
  | StatefulSet
  | Job
  | CronJob
  | PodDisruptionBudget
  | NetworkPolicy
  | ScaledObject
  | LeaderWorkerSet
  | InferencePool;
