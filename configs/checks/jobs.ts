import type { Problem } from "../kit/problems";
import { isSecretVariable } from "../litellm/callbacks";
import { pointers } from "../litellm/pointers";
import { KEY_BELONGS, type UrlUse, urlProblems } from "../network/url";
import { dummyKey, type JobConfig } from "../schema/jobs";
import type { StackConfig } from "../stack/config";
import { boxModel, publicName } from "../stack/jobUpstream";
import { publishedPorts } from "../stack/ports";
import { portClash } from "./ports";
import { addressProblems, steeringVariable } from "./settings";

/** Variables that a job sets itself, each with the key that it is made from. */
export const JOB_VARIABLES: Record<string, string> = {
  LITELLM_MASTER_KEY: "key",
  LITELLM_SALT_KEY: "nothing: a job has no database",
  DATABASE_URL: "nothing: a job has no database",
  REDIS_HOST: "nothing: a job has no Redis",
  REDIS_URL: "nothing: a job has no Redis",
  GRACEFUL_SHUTDOWN_TIMEOUT: "drainTimeout",
  LITELLM_CONFIG: "nothing: a job has its own",
  CONFIG_FILE_PATH: "nothing: a job has its own",
  NUM_WORKERS: "nothing: a job has one worker",
  HOST: "nothing: it is published on loopback only",
  PORT: "port",
  HOME: "nothing: the only places that a job's gateway may write to are /tmp and its log",
  PATH: "nothing: it is the image's",
};

const SERVER: UrlUse = { kind: "versioned", gateway: true, login: KEY_BELONGS };

/** Mistakes in the declared jobs, against the rest of the stack and each other. */
export function checkJobs(config: StackConfig): Problem[] {
  const taken = takenPorts(config);
  return Object.entries(config.jobs).flatMap(([name, job]) => {
    const path = `gpubox:jobs.${name}`;
    const clash = jobPortClash(taken, job.port, path);
    taken.set(job.port, `${path}.port`);
    return [...clash, ...checkJob(config, job, path)];
  });
}

/** Ports of the host that the box itself publishes, with the keys that set them. */
export function takenPorts(config: StackConfig): Map<number, string> {
  return new Map(publishedPorts(config).map(({ port, key }) => [port, key]));
}

/** The mistake of a job whose port is taken. */
export function jobPortClash(taken: Map<number, string>, port: number, path: string): Problem[] {
  return portClash(taken, { port, key: `${path}.port` }, "Give each job a free port of its own.");
}

/**
 * Mistakes in one job, whoever declares it.
 *
 * @param path of the job, for the problems
 */
export function checkJob(config: Pick<StackConfig, "models">, job: JobConfig, path: string): Problem[] {
  const { upstream } = job;
  return [
    ...("box" in upstream
      ? checkBox(config, job, upstream.box, path)
      : urlProblems(upstream.baseUrl, `${path}.upstream.baseUrl`, SERVER)),
    ...checkNames(job, path),
    ...Object.entries(job.extra).flatMap(([name, value]) => checkVariable(name, value, `${path}.extra`)),
    ...pointers(job, path),
  ];
}

function checkBox(
  { models }: Pick<StackConfig, "models">,
  job: JobConfig,
  name: string,
  path: string,
): Problem[] {
  const at = `${path}.upstream.box`;
  const found = boxModel(models, name);
  if (!found)
    return [
      {
        path: at,
        what: `This box has no model "${name}".`,
        fix: `Name one of these, or write baseUrl and model: ${Object.keys(models).join(", ") || "there is none"}.`,
        judgedBy: { model: name },
      },
    ];
  const { mode } = found.model;
  if (mode === "chat") return [];
  return [
    {
      path: `${path}.protocols`,
      what: `${name} serves mode: ${mode} and cannot answer ${job.protocols.join(" or ")}, which are chats.`,
      fix: "Name a model that chats.",
    },
  ];
}

function checkNames(job: JobConfig, path: string): Problem[] {
  const names = [publicName(job), ...job.aliases, ...job.stickyRoutingAliases];
  return names
    .filter((name, index) => names.indexOf(name) !== index)
    .map((name) => ({
      path,
      what: `"${name}" is named twice.`,
      fix: "Let the model's name, its aliases and the sticky-routing aliases differ.",
    }));
}

function checkVariable(name: string, value: unknown, path: string): Problem[] {
  const at = `${path}.${name}`;
  const own = JOB_VARIABLES[name];
  if (own) return [{ path: at, what: `${name} is set by gpubox.`, fix: `Use ${own}.` }];
  const steering = steeringVariable(name, value, at);
  if (steering) return [steering];
  const address = addressProblems(value, at);
  if (address.length > 0) return address;
  if (
    typeof value !== "string" ||
    !isSecretVariable(name) ||
    dummyKey.safeParse(value).success ||
    value === ""
  )
    return [];
  return [
    {
      path: at,
      what: "The value would stand in plaintext.",
      fix: "Put it into a secret and write { secret: <its name> }.",
    },
  ];
}
