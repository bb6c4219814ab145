import { wantedSources } from "../engines";
import type { ContainerPlan } from "../kit/containerPlan";
import { ConfigError, type PolicyFinding, type Violation } from "../kit/problems";
import { isUnlocked, type Resolved, resolvedImage } from "../kit/resolved";
import { servicesOf } from "../kit/services";
import type { BoxPlan } from "../kit/types";
import type { ModelLock } from "../models/facts";
import { whyUnresolved } from "../models/lock";
import { isLoopback } from "../network/addresses";
import { modelsOf, type StackConfig } from "../stack/config";
import { namedImages } from "../stack/neededImages";
import { judgeViolations } from "./judge";
import { plaintextSecrets } from "./plaintext";

/** Containers that may publish ports: the edge, and the observability services that people open. */
const PUBLISHES = ["edge", "prometheus", "grafana", "alertmanager"];

/** Seconds. A server that is killed at once loses its running requests. */
const SHORTEST_GRACE_SECONDS = 1;

/** Images whose documentation supports only root. */
const ROOT_IMAGES = [
  "tensorrt-llm",
  "vllm-cpu",
  "vllm-rocm",
  "vllm-xpu",
  "sglang",
  "sglang-rocm",
  "sglang-spark",
];

/** Containers that must read root's private keys; they have no network and a read-only file system. */
const ROOT_CONTAINERS = ["certificates"];

export interface Judged {
  config: StackConfig;
  plan: Omit<BoxPlan, "policy">;
  resolved: Resolved;
  lock: ModelLock;
}

/** Policy findings for a plan and its config. */
export function policyFindings({ config, plan, resolved, lock }: Judged): PolicyFinding[] {
  const containers = servicesOf(plan).map(({ container }) => container);
  const violations = [
    ...containers.flatMap((container) => [
      ...publishedPorts(container),
      ...lockedDigest(container, resolved, config),
      ...limits(container),
      ...root(container),
    ]),
    ...unlockedWeights(config, lock),
    ...plaintextSecrets(config),
  ];
  const seen = new Set<string>();
  const once = violations.filter(({ policy, path }) => {
    const key = `${policy} ${path}`;
    return !seen.has(key) && seen.add(key);
  });
  return judgeViolations(once, config.policy);
}

/** @throws ConfigError with every finding that is refused */
export function refuseFindings(stack: string, findings: PolicyFinding[]): void {
  const refused = findings.filter(({ severity }) => severity === "refused");
  if (refused.length > 0) throw new ConfigError(stack, refused.map(asProblem));
}

/** A refused finding as a mistake in the config, with a hint how to waive it. */
export function asProblem({ policy, path, what, fix }: Violation) {
  return { path, what, fix: `${fix} Policy ${policy}; gpubox:policy.waive can say why it does not count.` };
}

function publishedPorts({ name, ports }: ContainerPlan): Violation[] {
  if (ports.length === 0 || PUBLISHES.includes(name)) return [];
  const policy = "published-ports" as const;
  // A model's own port is declared as `expose`, with a key of its own.
  if (!name.startsWith("valve-"))
    return [
      {
        policy,
        path: `container ${name}`,
        what: `The container ${name} publishes port ${ports.map(({ port }) => port).join(", ")}, and only edge, jobs and dashboards may.`,
        fix: "Let the edge publish it.",
      },
    ];
  const open = ports.filter(({ bind }) => !isLoopback(bind));
  return open.map(({ bind, port }) => ({
    policy,
    path: `container ${name}`,
    what: `The port ${port} of a model is reached at ${bind} past the gateway, over plain HTTP.`,
    fix: "Write expose.bind: 127.0.0.1, or let clients use the gateway.",
    mild: true,
  }));
}

function lockedDigest(
  { role, ownImage, image }: ContainerPlan,
  resolved: Resolved,
  config: StackConfig,
): Violation[] {
  if (!isUnlocked(resolvedImage(resolved, ownImage ?? role))) return [];
  const named = namedImages(config).find((one) => one.image === ownImage);
  return [
    {
      policy: "digests-locked",
      path: named?.path ?? `image ${role}`,
      what: `${image} is a tag, which can be another image tomorrow.`,
      fix: "Run `gpubox images lock` where the registry answers, and commit images/lock.json.",
    },
  ];
}

function limits({ name, memoryMiB, stopGraceSeconds }: ContainerPlan): Violation[] {
  const path = `container ${name}`;
  const found: Violation[] = [];
  if (!(memoryMiB > 0))
    found.push({
      policy: "memory-limits",
      path,
      what: `The container ${name} may take all of the host's memory.`,
      fix: "Give it a memoryMiB.",
    });
  if (!(stopGraceSeconds >= SHORTEST_GRACE_SECONDS))
    found.push({
      policy: "stop-grace",
      path,
      what: `The container ${name} is killed without a moment to finish.`,
      fix: "Give it a stop grace period.",
    });
  return found;
}

function root({ name, role, user }: ContainerPlan): Violation[] {
  const uid = user.split(":")[0];
  if (uid !== "0" && uid !== "" && uid !== "root") return [];
  if (ROOT_IMAGES.includes(role) || ROOT_CONTAINERS.includes(name)) return [];
  return [
    {
      policy: "no-root",
      path: `container ${name}`,
      what: `The container ${name} runs as root, and its image allows better.`,
      fix: "Give it a user of its own.",
    },
  ];
}

function unlockedWeights({ models, workers }: StackConfig, lock: ModelLock): Violation[] {
  const wanted = [...wantedSources(models), ...wantedSources(modelsOf(workers), "joins")];
  return wanted.flatMap(({ path, source }) => {
    const reason = source.startsWith("hf://") ? whyUnresolved(lock, source) : undefined;
    if (reason === undefined) return [];
    return [
      {
        policy: "weights-locked" as const,
        path,
        what: `${source} has no locked revision, and is downloaded as the hub has it when first asked.`,
        fix: "Run `gpubox models lock` where the hub answers, and commit models.lock.json.",
      },
    ];
  });
}
