import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { InsideStep, StepPlan } from "../../kit/containerPlan";
import { configFile, directory, type FilePlan, hashOf } from "../../kit/text";
import type { BackendPlan, BoxPlan } from "../../kit/types";
import { type MountedFiles, mountedFiles } from "./files";
import { clusterOf } from "./names";
import type { Container, PersistentVolumeClaim, Volume, VolumeMount, VolumeSource } from "./objects";
import { imageOf, literal } from "./pod";
import { type WeightsStore, weightsStore } from "./weightsStore";

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
 * What keeps a model's files or holds them already, and the containers that fill it before its server starts. Each looks
 * what is there first, so that a start with a filled volume asks nobody.
 */
export function weightsOf(plan: BoxPlan, backend: BackendPlan, server: ClusterServerPlan): WeightsPart {
  const { container } = backend.service;
  const models = modelsDirectory(plan);
  const stored = storedMounts(plan, backend);
  const elsewhere = hostMounts(plan, backend, server);
  const { sizeGiB } = server.settings.weights;
  const given = givenFiles(server, elsewhere);
  if (stored.length === 0) return { claims: [], initContainers: [], ...given, loads: false };
  const role = container.name;
  const steps = backend.weights.flatMap((step) => (step.inside ? [{ ...step, inside: step.inside }] : []));
  const store = weightsStore(plan, server, {
    ...{ role, models, steps: steps.map(({ inside }) => inside) },
    sizeGiB: sizeGiB ?? sizeOf(plan, backend.weights),
  });
  const inputs = inputsOf(steps);
  const files =
    Object.keys(inputs).length > 0
      ? mountedFiles(plan, role, directoryOf(inputs, secretHashOf(plan, backend)), "weights-inputs")
      : undefined;
  return {
    claims: store.claims,
    files,
    initContainers: [
      ...store.first,
      ...steps.map((step) => loader(plan, backend, store, step, inputs[step.name] !== undefined)),
    ],
    volumes: [store.volume, ...(files ? [files.volume] : []), ...given.volumes],
    mounts: [
      ...stored.map(({ source, target, readOnly }) => ({
        ...{ ...store.mount(source), mountPath: target },
        ...(readOnly ? { readOnly: true } : {}),
      })),
      ...given.mounts,
    ],
    loads: steps.some(({ inside }) => inside.loads),
  };
}

/** Whether gpubox brings files of the model to it, and has to keep them somewhere. */
export function storesFiles(plan: BoxPlan, backend: BackendPlan): boolean {
  return storedMounts(plan, backend).length > 0;
}

function storedMounts(plan: BoxPlan, { service }: BackendPlan) {
  const models = modelsDirectory(plan);
  return service.container.mounts.filter(
    ({ kind, source }) => kind === "directory" && (source === models || source.startsWith(`${models}/`)),
  );
}

/** What holds a model's files already, mounted wherever the server looks for them. */
function givenFiles(
  { settings: { weights } }: ClusterServerPlan,
  targets: string[],
): { volumes: Volume[]; mounts: VolumeMount[] } {
  const { claim, image } = weights;
  const source: VolumeSource | undefined = claim
    ? { persistentVolumeClaim: { claimName: claim, readOnly: true } }
    : image
      ? { image: { reference: image, pullPolicy: "IfNotPresent" } }
      : undefined;
  if (!source) return { volumes: [], mounts: [] };
  return {
    volumes: [{ name: "given", ...source }],
    mounts: targets.map((mountPath) => ({ name: "given", mountPath, readOnly: true })),
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

type LoadingStep = StepPlan & { inside: InsideStep };

function loader(
  plan: BoxPlan,
  backend: BackendPlan,
  store: WeightsStore,
  { name, inside }: LoadingStep,
  hasInput: boolean,
): Container {
  const memory = `${Math.min(1024, backend.service.container.memoryMiB)}Mi`;
  const { mounts, user } = store.writer(inside);
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
      ...user,
    },
    volumeMounts: [
      ...mounts,
      ...(hasInput ? [{ name: "weights-inputs", mountPath: INPUTS, readOnly: true }] : []),
      { name: "weights-tmp", mountPath: "/tmp" },
    ],
  };
}

function inputsOf(steps: LoadingStep[]): Record<string, FilePlan> {
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
