import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { InsideStep } from "../../kit/containerPlan";
import type { BoxPlan } from "../../kit/types";
import { meta } from "./names";
import type {
  Container,
  ContainerSecurity,
  PersistentVolumeClaim,
  VolumeMount,
  VolumeSource,
} from "./objects";
import { imageOf } from "./pod";
import { claimOf } from "./stores";

/** Where nodes keep models' files, unless an entry names another directory. */
const NODE_DIRECTORY = "/var/lib/gpubox/models";

/** As whom every pod of a node writes there, whoever its server runs as: so each can go on with what another one began. */
const NOBODY = 65534;

/** Where on a node the files lie that come with gpubox, and have no directory of their own on a box. */
const OWN_FILES = "gpubox";

/** Name of the volume in a pod. */
const VOLUME = "models";

/** What keeps a model's files on a cluster. */
export interface WeightsStore {
  claims: PersistentVolumeClaim[];
  volume: { name: string } & VolumeSource;
  /** The part of the volume that stands for a directory of the box, which is the models' or below it. */
  mount(directory: string): Omit<VolumeMount, "mountPath">;
  /** What a container needs that writes with a step. */
  writer(step: InsideStep): {
    mounts: VolumeMount[];
    user: Pick<ContainerSecurity, "runAsUser" | "runAsGroup">;
  };
  /** Containers that come before the first writer. */
  first: Container[];
}

interface Needs {
  role: string;
  /** The directory of the box under which all models' files are. */
  models: string;
  sizeGiB: number;
  steps: InsideStep[];
}

/** The store that an entry asks for. */
export function weightsStore(plan: BoxPlan, { settings }: ClusterServerPlan, needs: Needs): WeightsStore {
  const { volume = "own", directory = NODE_DIRECTORY, storageClass } = settings.weights;
  return volume === "node" ? onNode(plan, directory, needs) : inClaim(plan, needs, volume, storageClass);
}

function inClaim(
  plan: BoxPlan,
  { role, models, sizeGiB }: Needs,
  volume: "own" | "shared" | "pod",
  storageClass: string | undefined,
): WeightsStore {
  const spec = claimOf(plan, sizeGiB, {
    storageClass,
    mode: volume === "shared" ? "ReadWriteMany" : "ReadWriteOnce",
  });
  const claimName = `${role}-weights`;
  return {
    claims:
      volume === "pod"
        ? []
        : [{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: meta(plan, role, claimName), spec }],
    volume:
      volume === "pod"
        ? { name: VOLUME, ephemeral: { volumeClaimTemplate: { spec } } }
        : { name: VOLUME, persistentVolumeClaim: { claimName } },
    mount: (path) => ({
      name: VOLUME,
      ...(path === models ? {} : { subPath: path.slice(models.length + 1) }),
    }),
    writer: () => ({ mounts: [{ name: VOLUME, mountPath: models }], user: {} }),
    first: [],
  };
}

/**
 * A directory of each node. The kubelet makes it as root's, so a container of root's first makes what each step writes to and hands it
 * over. All above stays root's: no writer can put anything in the place of another model's directory.
 */
function onNode(plan: BoxPlan, directory: string, { models, steps }: Needs): WeightsStore {
  const mount = (path: string) => ({
    name: VOLUME,
    subPath: path === models ? OWN_FILES : path.slice(models.length + 1),
  });
  const made = [...new Set(steps.map((step) => `${models}/${mount(step.directory).subPath}`))];
  return {
    claims: [],
    volume: { name: VOLUME, hostPath: { path: directory, type: "DirectoryOrCreate" } },
    mount,
    writer: (step) => ({
      mounts: [{ ...mount(step.directory), mountPath: step.directory }],
      user: { runAsUser: NOBODY, runAsGroup: NOBODY },
    }),
    first: steps.slice(0, 1).map(({ image }) => ({
      name: "weights-directory",
      image: imageOf(plan, image),
      imagePullPolicy: "IfNotPresent",
      command: ["sh", "-c", `mkdir -p "$@" && chown ${NOBODY}:${NOBODY} "$@"`, "gpubox"],
      args: made,
      resources: { requests: { memory: "64Mi" }, limits: { memory: "64Mi" } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"], add: ["CHOWN"] },
        ...{ runAsUser: 0, runAsGroup: 0, runAsNonRoot: false },
      },
      volumeMounts: [{ name: VOLUME, mountPath: models }],
    })),
  };
}
