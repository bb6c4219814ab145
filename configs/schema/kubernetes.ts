import { z } from "zod";

/** A label of DNS, as names of namespaces and most objects are. */
const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "Write lower-case letters, digits and dashes, at most 63.");

/** A name of DNS with dots, as storage classes and Secrets have. */
const dnsName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
    "Write lower-case letters, digits, dashes and dots, as `kubectl get` shows it.",
  );

/** The key of a label or an annotation, or the name of an extended resource. */
const qualifiedName = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
    "Write a name as Kubernetes has it, for example nvidia.com/gpu.",
  );

const labels = z.record(
  qualifiedName,
  z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/, "Write a label's value."),
);

const gibibytes = z.int().min(1).max(1_000_000);

/** An absolute path, without a step back. */
const nodeDirectory = z
  .string()
  .regex(
    /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/,
    "Write an absolute path, for example /var/lib/gpubox/models.",
  );

const imageReference = z
  .string()
  .regex(
    /^[a-z0-9][A-Za-z0-9.:_/-]*(@sha256:[0-9a-f]{64})?$/,
    "Write an image as nodes pull it, for example registry.acme.example/models/tiny@sha256:….",
  );

/** How a stack stands on a cluster; a box on Docker does not read it. */
export const kubernetesSchema = z.strictObject({
  context: z
    .string()
    .regex(/^[^\s-]\S*$/, "Write a context's name, as `kubectl config get-contexts` shows it.")
    .optional()
    .describe(
      "Context of kubectl that `gpubox manifests secrets` writes to. Default: the current one. A stack with gpubox:target: kubernetes has to name it.",
    ),
  namespace: dnsLabel
    .optional()
    .describe("Namespace of all objects, of this stack alone. Default: gpubox-<stack>."),
  makeNamespace: z
    .boolean()
    .default(true)
    .describe(
      "false: somebody else makes the namespace. It needs the label pod-security.kubernetes.io/enforce of docs/kubernetes.md.",
    ),
  clusterDomain: dnsName
    .default("cluster.local")
    .describe("Domain of the cluster's own names, by which clients in it reach the edge."),
  storageClass: dnsName
    .optional()
    .describe("Storage class of the volumes. Default: the cluster's default class."),
  storage: z
    .strictObject({
      databaseGiB: gibibytes.default(20).describe("Volume of the bundled Postgres."),
      backupsGiB: gibibytes.default(20).describe("Volume of its backups."),
      weightsGiB: gibibytes
        .optional()
        .describe("Volume of each model's files. Default: what the lock says of them and 10 %, else 100."),
    })
    .prefault({})
    .describe("Sizes of volumes in GiB. A class that can grow volumes takes a larger one later."),
  gpuResources: z
    .strictObject({
      nvidia: qualifiedName.default("nvidia.com/gpu"),
      amd: qualifiedName.default("amd.com/gpu"),
      intel: qualifiedName.default("gpu.intel.com/i915"),
    })
    .prefault({})
    .describe("What each vendor's device plugin calls a whole GPU."),
  service: z
    .strictObject({
      type: z
        .enum(["ClusterIP", "NodePort", "LoadBalancer"])
        .default("ClusterIP")
        .describe("How clients reach the edge. The admin port is always inside the cluster only."),
      annotations: z
        .record(qualifiedName, z.string())
        .default({})
        .describe("Annotations of that Service, for the load balancer of your cloud."),
    })
    .prefault({})
    .describe("The Service that clients use."),
  imagePullSecrets: z
    .array(dnsName)
    .default([])
    .describe("Secrets of the namespace by which nodes pull images: [registry-key]."),
  registry: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.:_/-]*[a-z0-9]$/,
      "Write a registry and a path, for example registry.acme.example/ai.",
    )
    .optional()
    .describe(
      "Where nodes find images that this machine built from recipes: REGISTRY/gpubox/gateway:…. Push them there first.",
    ),
  secretStore: z
    .strictObject({
      name: dnsName.describe("Name of the store."),
      kind: z.enum(["SecretStore", "ClusterSecretStore"]).default("SecretStore"),
    })
    .optional()
    .describe("Store of the External Secrets Operator, for `gpubox manifests --secrets external`."),
  backupSchedule: z
    .string()
    .regex(/^\S+( \S+){4}$/, "Write five fields of cron, for example 17 3 * * *.")
    .default("17 3 * * *")
    .describe("When the bundled Postgres is backed up, in the cluster's time zone."),
  monitoring: dnsLabel
    .optional()
    .describe("Namespace whose pods may read the models' metrics. Default: none may."),
  prometheus: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("Prometheus that scrapes the models' pods, for `scale`: http://prometheus.monitoring:9090."),
});

export type KubernetesConfig = z.infer<typeof kubernetesSchema>;

/** How one model stands on a cluster. */
export const modelKubernetes = z
  .strictObject({
    replicas: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .describe("Pods of its server, each with GPUs of its own. Default: 1."),
    affinity: z
      .enum(["none", "client"])
      .default("none")
      .describe(
        "`client`: a gateway's requests stay with one pod. Conversations stay with one server by `instances` or `pool`.",
      ),
    scale: z
      .strictObject({
        min: z.int().min(1).default(1).describe("Pods that always run."),
        max: z.int().min(1).max(100).describe("Pods at most."),
        waiting: z
          .int()
          .min(1)
          .default(4)
          .describe("Requests that wait in the queues, for each pod, above which another one starts."),
      })
      .refine(({ min, max }) => min <= max, { error: "`max` is less than `min`.", path: ["max"] })
      .optional()
      .describe("KEDA adds and removes pods by the requests that wait. Needs kubernetes.prometheus."),
    pool: z
      .strictObject({
        picker: dnsLabel.describe("Service of the endpoint picker (llm-d's or the one of GAIE)."),
        pickerPort: z.int().min(1).max(65535).default(9002),
        router: labels
          .optional()
          .describe("Labels of the router's pods, which then get the model's requests in place of its own."),
        routerPort: z.int().min(1).max(65535).default(8080),
      })
      .optional()
      .describe("An InferencePool of its pods, for a router that sends by prefix and load."),
    nodeSelector: labels
      .default({})
      .describe("Labels that its nodes must have: { nvidia.com/gpu.product: NVIDIA-L40S }."),
    gpuResource: qualifiedName
      .optional()
      .describe("What it asks for in place of whole GPUs: nvidia.com/mig-3g.40gb."),
    resources: z
      .record(qualifiedName, z.int().min(1))
      .default({})
      .describe("More of a device plugin's resources: { rdma/hca: 1 }."),
    weights: z
      .strictObject({
        claim: dnsName
          .optional()
          .describe(
            "A volume claim of the namespace that holds the files already, for file:/// sources: it is mounted at their directory.",
          ),
        image: imageReference
          .optional()
          .describe(
            "An image that holds the files already, for file:/// sources: a node pulls it once, and its root is mounted at their directory. Needs Kubernetes 1.33 with the feature ImageVolume, and containerd 2.1.",
          ),
        volume: z
          .enum(["own", "shared", "pod", "node"])
          .optional()
          .describe(
            "`own` (default): a volume for one node at a time. `shared`: one that many nodes read (ReadWriteMany), for replicas. `pod`: one for each pod, which loads the files itself. `node`: a directory of each node, for all pods there; the namespace's Pod Security becomes `privileged`.",
          ),
        directory: nodeDirectory
          .optional()
          .describe("Of each node, for `volume: node`. Default: /var/lib/gpubox/models."),
        storageClass: dnsName.optional().describe("Default: that of the stack."),
        sizeGiB: gibibytes.optional().describe("Default: that of the stack."),
      })
      .prefault({})
      .describe("Where its files are."),
  })
  .optional()
  .describe("How it stands on a cluster (docs/kubernetes.md); a box on Docker does not read it.");

export type ModelKubernetes = NonNullable<z.infer<typeof modelKubernetes>>;

/** What an entry without the key has. */
export const PLAIN_MODEL: ModelKubernetes = modelKubernetes.unwrap().parse({});
