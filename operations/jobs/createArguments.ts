import { processesOf } from "../../configs/kit/processes";
import { CLIENT_PORT } from "../../configs/plan/haproxy/edge";
import { EDGE_FOLDER, gatewayAlias } from "./edge";
import type { JobPlan } from "./plan";
import { EDGE_LABEL, EXPIRES_LABEL, FOLDER_LABEL, JOB_LABEL } from "./record";

/** The user of a job's gateway is the person who starts it, so that they can read its log. */
export interface FileOwner {
  uid: number;
  gid: number;
}

/** What a job's container gets in addition to its plan. */
export interface JobLimits {
  stack: string;
  owner: FileOwner;
  expiresAt: string | null;
  cores: number;
  memoryMiB: number;
}

/** Memory limit of a job's edge, in MiB. It uses about 20. */
const EDGE_MIB = 128;

const PROBE = "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/health/liveliness', timeout=8)";

/** Arguments of `docker create` for a job's gateway, hardened like every container of a box. Contains no secret. */
export function createArguments(plan: JobPlan, limits: JobLimits): string[] {
  const { stack, owner, expiresAt, cores, memoryMiB } = limits;
  const labels = {
    "gpubox.stack": stack,
    "gpubox.role": `job-${plan.name}`,
    // `up` removes unknown containers as orphans unless a label tells it to keep them.
    "gpubox.keep": "job",
    [JOB_LABEL]: plan.name,
    [FOLDER_LABEL]: plan.folder,
    ...(expiresAt ? { [EXPIRES_LABEL]: expiresAt } : {}),
  };
  return [
    ...hardened(plan.containerName, labels, owner, memoryMiB, processesOf("gateway")),
    ...["--tmpfs", "/tmp:rw,nosuid,size=256m,mode=1777", "--cpus", String(cores)],
    ...["--network", plan.networks[0]!, "--network-alias", gatewayAlias(plan.name)],
    ...["--add-host", "host.docker.internal:host-gateway"],
    ...["--mount", `type=bind,source=${plan.folder},target=${plan.folder},readonly`],
    ...["--mount", `type=bind,source=${plan.folder}/log,target=${plan.folder}/log`],
    ...["--health-cmd", `python3 -c "${PROBE}"`, "--health-interval", "30s", "--health-timeout", "10s"],
    ...["--health-start-period", "120s", "--stop-timeout", String(plan.stopSeconds)],
    ...Object.entries(plan.environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...["--entrypoint", "sh", plan.image, `${plan.folder}/entrypoint.sh`, plan.folder],
  ];
}

/** Arguments of `docker create` for the edge that owns the job's port. Contains no secret. */
export function edgeArguments(plan: JobPlan, { stack, owner }: JobLimits): string[] {
  const { containerName, image } = plan.edge;
  const labels = {
    "gpubox.stack": stack,
    "gpubox.role": `job-${plan.name}-edge`,
    "gpubox.keep": "job",
    [EDGE_LABEL]: plan.name,
  };
  return [
    ...hardened(containerName, labels, owner, EDGE_MIB, processesOf("edge")),
    ...["--tmpfs", "/tmp:rw,noexec,nosuid,size=16m,mode=1777", "--network", plan.networks[0]!],
    ...["--publish", `127.0.0.1:${plan.port}:${CLIENT_PORT}`],
    ...["--mount", `type=bind,source=${plan.folder}/${EDGE_FOLDER},target=/etc/gpubox,readonly`],
    ...["--stop-signal", "SIGUSR1", "--stop-timeout", String(plan.stopSeconds)],
    ...["--entrypoint", "haproxy", image, "-W", "-db", "-f", "/etc/gpubox/haproxy.cfg"],
  ];
}

function hardened(
  name: string,
  labels: Record<string, string>,
  { uid, gid }: FileOwner,
  memoryMiB: number,
  processes: number,
): string[] {
  return [
    ...["create", "--name", name, "--restart", "unless-stopped"],
    ...Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]),
    ...["--user", `${uid}:${gid}`, "--read-only", "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges:true"],
    ...["--memory", `${memoryMiB}m`, "--memory-swap", `${memoryMiB}m`],
    ...["--pids-limit", String(processes)],
    ...["--log-opt", "max-size=20m", "--log-opt", "max-file=5"],
  ];
}
