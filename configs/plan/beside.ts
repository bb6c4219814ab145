import type { ContainerPlan, NetworkRole, ServicePlan, StepPlan } from "../kit/containerPlan";
import { deviceRequest } from "../kit/gpus";
import { STEP_LIMIT } from "../kit/processes";
import { awaitHealthy, CLOSE, RELIEVE } from "../kit/steps";
import { shellQuote } from "../kit/text";
import { watchCanary } from "./canary";
import { type BackendSpec, imageOf, type PlanContext } from "./context";
import { HAPROXY } from "./edge";
import { engineAsksForKey, valveDirectory } from "./valve";

/** Logical name of the container that stands in for a backend while it is replaced. No model's own container begins so. */
export function standInOf(name: string): string {
  return name.replace(/^backend-/, "standin-");
}

/** Label by which `up` leaves a stand-in alone that serves after a failed change. */
export const STAND_IN_LABEL = "gpubox.keep=next";

/**
 * Brings a stand-in up with a backend's new plan, before the backend is replaced in place: it is started beside the one that
 * serves, proven by a request of its kind, and gets the requests at the valve; the old one finishes what it has. Does nothing
 * where the backend is not there, not healthy, or already as planned. If it fails, the old one serves on and the step says why.
 * Takes what every step of a service takes, and GPUBOX_NEXT.
 */
export function planBeside(context: PlanContext, backend: BackendSpec, { container }: ServicePlan): StepPlan {
  const { name, labels, memoryMiB, gpu } = container;
  const proof = proofOf(context, backend, container);
  const script = `state=$(docker inspect --format '{{.State.Running}} {{.State.Health.Status}} {{index .Config.Labels "gpubox.spec"}}' "$GPUBOX_CONTAINER" 2>/dev/null) || exit 0
# The stand-in of an \`up\` that ended too early has the requests of a server that is still there.
case "$state" in "true healthy "*) ( ${RELIEVE} ) || exit 1 ;; esac
case "$state" in *" ${labels["gpubox.spec"]}") exit 0 ;; "true healthy "*) ;;
  # Just started, or without end: then an earlier stand-in may serve.
  "true starting "*) docker inspect "$GPUBOX_NEXT" >/dev/null 2>&1 && exit 0 ;;
  *) exit 0 ;;
esac
docker rm -f "$GPUBOX_NEXT" >/dev/null 2>&1
failed() {
  printf '%s\\n' "$1" >&2
  echo "The new server of ${backend.instance} is not used; the one before serves on." >&2
  docker rm -f "$GPUBOX_NEXT" >/dev/null 2>&1
  exit 1
}
trap 'failed "It was interrupted."' INT TERM HUP
${gpu ? "" : enoughMemory(memoryMiB)}
said=$(docker run --detach --name "$GPUBOX_NEXT" ${runArguments(context, container).map(shellQuote).join(" ")} 2>&1) || failed "$said"
said=$(GPUBOX_CONTAINER=$GPUBOX_NEXT
${awaitHealthy(container.health.test)} 2>&1) || failed "$said"
${proof}
said=$(docker exec "$GPUBOX_VALVES" bash /etc/gpubox/drain.sh --next --await 30 2>&1) || failed "$said"
${backend.canary ? `${watchCanary(context.config.stack, backend, backend.canary)}\n` : ""}trap - INT TERM HUP
echo "${standInOf(name)} serves until ${name} is replaced"
# By the stand-in's own name it would find no valve.
GPUBOX_DRAIN=$GPUBOX_PATIENCE GPUBOX_NAME=
${CLOSE}`;
  return {
    name: `${name}-beside`,
    script,
    // A server that asks for no key gets none: it may be an image of anybody.
    stdin: engineAsksForKey(backend.engine) ? [{ secret: "saltKey", as: "derived" }, "\n"] : ["\n"],
    triggers: [labels["gpubox.spec"]!],
  };
}

/** The host's free memory, as the valve's container sees it. */
function enoughMemory(mib: number): string {
  return `free=$(docker exec "$GPUBOX_VALVES" sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) || exit 1
[ "$((free / 1024))" -ge ${mib} ] || failed "The host has $((free / 1024)) MiB free, and a second copy may take ${mib} (memoryMiB). Write replacement: stop-first, or free memory."`;
}

/** What a model server itself can be asked by the words of OpenAI's API. */
const ASKED = ["chat", "completion", "embedding"];

/** One request of the model's kind, from a container beside it. The key comes on standard input. Others are proven by their health. */
function proofOf(context: PlanContext, backend: BackendSpec, plan: ContainerPlan): string {
  const { served, mode, engine, instance } = backend;
  if (!ASKED.includes(mode)) return "";
  const command = [
    ...["docker", "run", "--rm", "-i", ...STEP_LIMIT.split(" "), "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges", "--read-only"],
    ...["--network", networkName(context, "backends"), "--user", `${HAPROXY}:${HAPROXY}`],
    ...["--volume", `${valveDirectory(context.dataDir, instance)}:/etc/gpubox:ro`],
    ...["--env", `GPUBOX_PROVE_URL=http://${standInOf(plan.name)}:${engine.port}`],
    ...["--entrypoint", "python3", imageOf(context, "gateway"), "/etc/gpubox/prove.py"],
    ...["--backend", served, "--mode", mode, "--deadline", String(plan.readySeconds)],
  ];
  return `said=$(${command.map(shellQuote).join(" ")} 2>&1) || failed "$said"
printf '%s\\n' "$said"`;
}

function networkName({ prefix }: PlanContext, role: NetworkRole): string {
  return `${prefix}-${role}`;
}

/** The arguments of `docker run` for a planned container under another name, its image and command included. */
function runArguments(context: PlanContext, plan: ContainerPlan): string[] {
  const [entrypoint, ...rest] = plan.entrypoint;
  const role = Object.keys(plan.networks)[0] as NetworkRole;
  const next = standInOf(plan.name);
  const labels = { ...plan.labels, "gpubox.role": next, "gpubox.keep": "next" };
  const test = plan.health.test;
  const health = test[0] === "CMD-SHELL" ? test[1]! : test.slice(1).map(shellQuote).join(" ");
  return [
    ...Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]),
    ...["--restart", "unless-stopped", "--user", plan.user],
    ...["--network", networkName(context, role), "--network-alias", next],
    ...Object.entries(plan.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...plan.mounts.flatMap(({ kind, source, target, readOnly }) => [
      "--mount",
      `type=${kind === "volume" ? kind : "bind"},source=${source},target=${target}${readOnly ? ",readonly" : ""}`,
    ]),
    ...Object.entries(plan.tmpfs).flatMap(([path, options]) => ["--tmpfs", `${path}:${options}`]),
    ...["--memory", `${plan.memoryMiB}m`, "--memory-swap", `${plan.memoryMiB}m`],
    ...["--pids-limit", String(plan.pidsLimit)],
    ...(plan.shmMiB ? ["--shm-size", `${plan.shmMiB}m`] : []),
    ...(plan.readOnly ? ["--read-only"] : []),
    ...(plan.init ? ["--init"] : []),
    ...["--cap-drop", "ALL", ...(plan.capAdd ?? []).flatMap((name) => ["--cap-add", name])],
    ...["no-new-privileges:true", ...(plan.securityOpts ?? [])].flatMap((option) => [
      "--security-opt",
      option,
    ]),
    ...(plan.ulimits ?? []).flatMap(({ name, soft, hard }) => ["--ulimit", `${name}=${soft}:${hard}`]),
    ...(plan.ipc ? ["--ipc", plan.ipc] : []),
    ...(plan.groupAdd ?? []).flatMap((group) => ["--group-add", group]),
    ...(plan.devices ?? []).flatMap((path) => ["--device", path]),
    ...gpuWords(plan.gpu),
    ...(plan.stopSignal ? ["--stop-signal", plan.stopSignal] : []),
    ...["--stop-timeout", String(plan.stopGraceSeconds)],
    ...["--health-cmd", health, "--health-interval", `${plan.health.intervalSeconds}s`],
    ...[
      "--health-timeout",
      `${plan.health.timeoutSeconds}s`,
      "--health-retries",
      String(plan.health.retries),
    ],
    ...["--health-start-period", `${plan.health.startPeriodSeconds}s`],
    ...["--log-driver", "json-file", "--log-opt", "max-size=20m", "--log-opt", "max-file=5"],
    ...(entrypoint === undefined ? [] : ["--entrypoint", entrypoint]),
    plan.image,
    ...rest,
    ...plan.command,
  ];
}

/** `--gpus` and not `--device`: the CLI on this machine may be older than the engine, and know no CDI. */
function gpuWords(gpu: ContainerPlan["gpu"]): string[] {
  const request = deviceRequest(gpu);
  if (!request) return [];
  const devices = `"device=${request.ids.join(",")}"`;
  return ["--gpus", request.driver === "cdi" ? `driver=cdi,${devices}` : devices];
}
