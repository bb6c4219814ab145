import { processesOf } from "../plan/processes";
import type { JobPlan } from "./plan";
import { EXPIRES_LABEL, FOLDER_LABEL, JOB_LABEL } from "./record";

/** Who a job's gateway runs as: whoever started it, so that its log is theirs to read. */
export interface Owner {
  uid: number;
  gid: number;
}

/** What a container of a job gets beside its plan. */
export interface JobLimits {
  stack: string;
  owner: Owner;
  expiresAt: string | null;
  cores: number;
  memoryMiB: number;
}

/** The port that LiteLLM listens on in the container. */
const INSIDE_PORT = 4000;

const PROBE = "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/health/liveliness', timeout=8)";

/** Arguments of `docker create` for a job's gateway; hardened as every container of a box. Holds no secret. */
export function createArguments(plan: JobPlan, limits: JobLimits): string[] {
  const { stack, owner, expiresAt, cores, memoryMiB } = limits;
  const labels = {
    "gpubox.stack": stack,
    "gpubox.role": `job-${plan.name}`,
    // `up` takes what it does not know for an orphan, unless it is told to keep it.
    "gpubox.keep": "job",
    [JOB_LABEL]: plan.name,
    [FOLDER_LABEL]: plan.folder,
    ...(expiresAt ? { [EXPIRES_LABEL]: expiresAt } : {}),
  };
  return [
    ...["create", "--name", plan.containerName, "--restart", "unless-stopped"],
    ...Object.entries(labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
    ...["--user", `${owner.uid}:${owner.gid}`, "--read-only", "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp:rw,nosuid,size=256m,mode=1777"],
    ...["--memory", `${memoryMiB}m`, "--memory-swap", `${memoryMiB}m`, "--cpus", String(cores)],
    ...["--pids-limit", String(processesOf("gateway"))],
    ...["--log-opt", "max-size=20m", "--log-opt", "max-file=5"],
    ...["--network", plan.networks[0]!, "--add-host", "host.docker.internal:host-gateway"],
    ...["--publish", `127.0.0.1:${plan.port}:${INSIDE_PORT}`],
    ...["--mount", `type=bind,source=${plan.folder},target=${plan.folder},readonly`],
    ...["--mount", `type=bind,source=${plan.folder}/log,target=${plan.folder}/log`],
    ...["--health-cmd", `python3 -c "${PROBE}"`, "--health-interval", "30s", "--health-timeout", "10s"],
    ...["--health-start-period", "120s", "--stop-timeout", String(plan.stopSeconds)],
    ...Object.entries(plan.environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...["--entrypoint", "sh", plan.image, `${plan.folder}/entrypoint.sh`, plan.folder],
  ];
}
