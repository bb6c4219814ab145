import type { ContainerPlan } from "../../kit/containerPlan";
import type { BoxPlan } from "../../kit/types";
import { GATEWAY_SERVICE } from "../cluster";
import { GATEWAY_PORT } from "../haproxy/edge";
import { type MountedFiles, mountedFiles } from "./files";
import { provenModels, type ServedModel } from "./gateway";
import { clusterOf, hashedName, modelKey, modelLabel, roleLabels } from "./names";
import { networkPolicy } from "./networks";
import type { Job, PodTemplate, Service } from "./objects";
import { onceJob } from "./onceJob";
import type { Part } from "./part";
import { bare, CONFIG_DIR, containerOf, literal, memoryVolumes, podSpec, template } from "./pod";
import { ACCESS_ROLE, GATEWAY_ROLE, PROOF_ROLE } from "./roles";
import { service, servicePort } from "./service";

/** Seconds that a model has to answer, beside its own start: images are pulled meanwhile, and weights loaded. */
const PROOF_SECONDS = 3600;

/** Seconds until teams and keys are in the database: the first gateway is ready by then. */
const ACCESS_SECONDS = 1800;

/**
 * The proof that a model answers, as a Job of each. Its name says which version of the entry it proves, and it asks only gateways
 * which serve that one: a change of one model proves that model, and none of the others again.
 */
export function proofPart(plan: BoxPlan): Part {
  const proven = provenModels(plan);
  if (proven.length === 0) return { objects: [], secrets: [] };
  const files = mountedFiles(plan, PROOF_ROLE, clusterOf(plan).proof);
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      ...proven.flatMap((model) => proofOf(plan, files, model)),
      networkPolicy(plan, PROOF_ROLE, { ingress: [], egress: [{ role: GATEWAY_ROLE, port: GATEWAY_PORT }] }),
    ],
  };
}

function proofOf(plan: BoxPlan, files: MountedFiles, { name, hash, mode }: ServedModel): [Service, Job] {
  const base = `${PROOF_ROLE}-${modelKey(name)}`;
  const own = hashedName(base, hash);
  const starts = plan.backends.filter(({ model }) => model === name);
  const seconds = PROOF_SECONDS + Math.max(0, ...starts.map(({ service }) => service.container.readySeconds));
  const pod = asking(plan, PROOF_ROLE, files, {
    service: own,
    script: `exec python3 ${CONFIG_DIR}/prove.py "$@" < ${CONFIG_DIR}/master-key`,
    words: ["--backend", name, "--mode", mode, "--deadline", String(seconds)],
  });
  const job = onceJob(plan, PROOF_ROLE, pod, { base, retries: 1, seconds: 2 * seconds + 300 });
  return [
    service(plan, PROOF_ROLE, [servicePort("http", GATEWAY_PORT)], {
      name: own,
      selector: { ...roleLabels(plan, GATEWAY_ROLE), [modelLabel(name)]: hash },
    }),
    { ...job, metadata: { ...job.metadata, annotations: { "gpubox.model": name } } },
  ];
}

/** The declared teams, people and keys, as a Job whose name says what they are. */
export function accessPart(plan: BoxPlan): Part {
  const { access } = clusterOf(plan);
  if (!access) return { objects: [], secrets: [] };
  const files = mountedFiles(plan, ACCESS_ROLE, access);
  const pod = asking(plan, ACCESS_ROLE, files, {
    service: GATEWAY_SERVICE,
    script: `exec python3 ${CONFIG_DIR}/access.py "$@" < ${CONFIG_DIR}/desired.json`,
    words: ["--deadline", String(ACCESS_SECONDS)],
  });
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      onceJob(plan, ACCESS_ROLE, pod, { base: ACCESS_ROLE, retries: 4, seconds: 2 * ACCESS_SECONDS }),
      networkPolicy(plan, ACCESS_ROLE, {
        ingress: [],
        egress: [{ role: GATEWAY_ROLE, port: GATEWAY_PORT }],
      }),
    ],
  };
}

/** A pod that asks gateways something, and ends. */
function asking(
  plan: BoxPlan,
  role: string,
  files: MountedFiles,
  { service, script, words }: { service: string; script: string; words: string[] },
): PodTemplate {
  const { container } = plan.gateway;
  const memory = memoryVolumes({ tmpfs: { "/tmp": "size=16m" } });
  const small: ContainerPlan = { ...container, memoryMiB: 128, readOnly: true, env: {} };
  const main = bare({
    ...containerOf(plan, small, [
      { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
      ...memory.mounts,
    ]),
    command: ["sh", "-c", script, role],
    args: words.map(literal),
    env: [
      { name: "GPUBOX_PROVE_URL", value: `http://${service}:${GATEWAY_PORT}` },
      { name: "PYTHONDONTWRITEBYTECODE", value: "1" },
    ],
  });
  const spec = podSpec(
    plan,
    { ...container, stopGraceSeconds: 10 },
    { containers: [main], volumes: [files.volume, ...memory.volumes] },
  );
  return template(plan, role, { ...spec, restartPolicy: "Never" });
}
