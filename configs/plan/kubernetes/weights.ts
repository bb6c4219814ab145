import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { StepPlan } from "../../kit/containerPlan";
import { configFile, directory, type FilePlan, hashOf } from "../../kit/text";
import type { BackendPlan, BoxPlan } from "../../kit/types";
import { type MountedFiles, mountedFiles } from "./files";
import { clusterOf, meta } from "./names";
import type { Container, PersistentVolumeClaim, Volume, VolumeMount } from "./objects";
import { imageOf, literal } from "./pod";
import { claimOf } from "./stores";

/** GiB of a model of which the lock knows nothing. */
const UNKNOWN_GIB = 100;
const GIB = 1024 ** 3;

/** Room beside a model's files for what a file system keeps to itself. */
const MARGIN = 1.1;

const INPUTS = "/run/gpubox/weights";

/** What brings a model's files to its server, and where they are. */
export interface WeightsPart {
  claims: PersistentVolumeClaim[];
  files?: MountedFiles;
  initContainers: Container[];
  volumes: Volume[];
  mounts: VolumeMount[];
  /** True: they come from outside the cluster. */
  loads: boolean;
}

/** The directory of the box under which all models' files are. */
export function modelsDirectory({ dataDir }: BoxPlan): string {
  return `${dataDir}/models`;
}

/**
 * A volume of a model's own, or one that its namespace has already, and the containers that fill it before its server starts. Each looks
 * what is there first, so that a start with a filled volume asks nobody.
 */
export function weightsOf(plan: BoxPlan, backend: BackendPlan, server: ClusterServerPlan): WeightsPart {
  const { container } = backend.service;
  const models = modelsDirectory(plan);
  const isFile = ({ kind, source }: (typeof container.mounts)[number]) =>
    kind === "directory" && (source === models || source.startsWith(`${models}/`));
  const stored = container.mounts.filter(isFile);
  const elsewhere = hostMounts(plan, backend, server);
  const { claim, volume, storageClass, sizeGiB } = server.settings.weights;
  const role = container.name;
  const given = claim
    ? {
        volumes: [{ name: "given", persistentVolumeClaim: { claimName: claim, readOnly: true } }],
        mounts: elsewhere.map((target) => ({ name: "given", mountPath: target, readOnly: true })),
      }
    : { volumes: [], mounts: [] };
  if (stored.length === 0) return { claims: [], initContainers: [], ...given, loads: false };
  const spec = claimOf(plan, sizeGiB ?? sizeOf(plan, backend.weights), {
    storageClass,
    mode: volume === "shared" ? "ReadWriteMany" : "ReadWriteOnce",
  });
  const steps = backend.weights.flatMap((step) => (step.inside ? [{ ...step, inside: step.inside }] : []));
  const inputs = inputsOf(steps);
  const files =
    Object.keys(inputs).length > 0
      ? mountedFiles(plan, role, directoryOf(inputs, secretHashOf(plan, backend)), "weights-inputs")
      : undefined;
  return {
    claims:
      volume === "pod"
        ? []
        : [
            {
              apiVersion: "v1",
              kind: "PersistentVolumeClaim",
              metadata: meta(plan, role, `${role}-weights`),
              spec,
            },
          ],
    files,
    initContainers: steps.map((step) => loader(plan, backend, step, inputs[step.name] !== undefined)),
    volumes: [
      volume === "pod"
        ? { name: "models", ephemeral: { volumeClaimTemplate: { spec } } }
        : { name: "models", persistentVolumeClaim: { claimName: `${role}-weights` } },
      ...(files ? [files.volume] : []),
      ...given.volumes,
    ],
    mounts: [
      ...stored.map(({ source, target, readOnly }) => ({
        ...{ name: "models", mountPath: target },
        ...(source === models ? {} : { subPath: source.slice(models.length + 1) }),
        ...(readOnly ? { readOnly: true } : {}),
      })),
      ...given.mounts,
    ],
    loads: steps.some(({ inside }) => inside.loads),
  };
}

/** Where a server mounts files of the host that gpubox did not bring there, without the mounts that its entry names itself. */
export function hostMounts(
  { dataDir }: BoxPlan,
  { service }: BackendPlan,
  server: ClusterServerPlan,
): string[] {
  return service.container.mounts
    .filter(
      ({ kind, source, target }) =>
        kind === "directory" && !source.startsWith(`${dataDir}/`) && !server.ownMounts.includes(target),
    )
    .map(({ target }) => target);
}

type InsideStep = StepPlan & { inside: NonNullable<StepPlan["inside"]> };

function loader(
  plan: BoxPlan,
  backend: BackendPlan,
  { name, inside }: InsideStep,
  hasInput: boolean,
): Container {
  const memory = `${Math.min(1024, backend.service.container.memoryMiB)}Mi`;
  const models = modelsDirectory(plan);
  return {
    name,
    image: imageOf(plan, inside.image),
    imagePullPolicy: "IfNotPresent",
    command: hasInput ? ["sh", "-c", `exec "$@" < ${INPUTS}/${name}`, "gpubox"] : inside.command.map(literal),
    args: hasInput ? inside.command.map(literal) : [],
    env: Object.entries({ HOME: "/tmp", PYTHONDONTWRITEBYTECODE: "1", ...inside.env }).map(
      ([key, value]) => ({
        name: key,
        value,
      }),
    ),
    resources: { requests: { memory }, limits: { memory } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "models", mountPath: models },
      ...(hasInput ? [{ name: "weights-inputs", mountPath: INPUTS, readOnly: true }] : []),
      { name: "weights-tmp", mountPath: "/tmp" },
    ],
  };
}

function inputsOf(steps: InsideStep[]): Record<string, FilePlan> {
  return Object.fromEntries(
    steps.flatMap(({ name, stdin }) => (stdin ? [[name, configFile(...stdin)]] : [])),
  );
}

function directoryOf(files: Record<string, FilePlan>, secretHash: string) {
  return { ...directory("", 0, files, {}), secretHash };
}

/** The only secret of a step is the hub's token. */
function secretHashOf(plan: BoxPlan, { weights }: BackendPlan): string {
  return hashOf([clusterOf(plan).tokenFingerprint, weights.map(({ name }) => name)]);
}

function sizeOf(plan: BoxPlan, steps: StepPlan[]): number {
  const bytes = steps.flatMap(({ fetches = [] }) => fetches).reduce((sum, file) => sum + file.bytes, 0);
  const { weightsGiB } = clusterOf(plan).settings.storage;
  if (weightsGiB) return weightsGiB;
  if (bytes > 0) return Math.ceil((bytes * MARGIN) / GIB) + 1;
  return steps.some(({ inside }) => inside?.loads) ? UNKNOWN_GIB : 1;
}
