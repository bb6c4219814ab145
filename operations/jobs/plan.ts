import { parse, stringify } from "yaml";
import type { ModelConfig } from "../../configs/engines";
import type { Route } from "../../configs/engines/engine";
import { modelInfo } from "../../configs/engines/info";
import { openai } from "../../configs/engines/openai";
import { ConfigError } from "../../configs/kit/problems";
import type { FilePlan } from "../../configs/kit/text";
import { configFile, envFile, shellQuote, type TextPart } from "../../configs/kit/text";
import { assetFile, imageOf, type PlanContext } from "../../configs/plan/context";
import { guardFiles } from "../../configs/plan/guard";
import { BACKEND_KEY, litellmConfig } from "../../configs/plan/litellm";
import { planModel } from "../../configs/plan/model";
import { proxyBypass } from "../../configs/plan/proxies";
import type { Deployment, RoutedModel } from "../../configs/plan/routing";
import { secretVariable } from "../../configs/plan/secretVariable";
import { trajectoryFilesOf } from "../../configs/plan/trajectories";
import { gatewaySchema } from "../../configs/schema/gateway";
import type { JobConfig } from "../../configs/schema/jobs";
import { observabilitySchema } from "../../configs/schema/observability";
import { cacheSchema, databaseSchema } from "../../configs/schema/stores";
import type { StackConfig } from "../../configs/stack/config";
import { boxModel, publicName, upstreamText } from "../../configs/stack/jobUpstream";
import { secretsOf } from "../../configs/stack/optionalModels";
import { edgeFiles } from "./edge";
import { checkTemplate, mergeTemplate, parseTemplate } from "./template";

/** Value of a run's own key, made at its start. No secret of a stack has a dash in its name. */
export const JOB_KEY = "job-key";

/** The config's file name that harnesses expect. */
export const CONFIG_FILE = "litellm_config_eval.yaml";
export const ENV_FILE = "litellm.env";

/** Extra seconds after `drainTimeout` in which a container flushes its log. */
const DRAIN_MARGIN_SECONDS = 60;

/** The gateway of one run of a job: plain data without secret values. */
export interface JobPlan {
  name: string;
  /** `gpubox-<stack>-job-<name>`. */
  containerName: string;
  image: string;
  /** The HAProxy in front of the gateway, which owns the port. */
  edge: { containerName: string; image: string };
  /** Absolute path on the host and in the container, so that paths in files are valid in both. */
  folder: string;
  files: Record<string, FilePlan>;
  /** Names of the stack's secrets in the files. */
  secrets: string[];
  /** The key that clients send: a literal, a secret, or one made at the start. */
  key: NonNullable<JobConfig["key"]> | "made";
  environment: Record<string, string>;
  /** Networks of the box; the one with a way out comes first. */
  networks: string[];
  endpoint: string;
  port: number;
  model: string;
  upstream: string;
  /** Requests to send before the start. */
  questions: UpstreamQuestion[];
  /** Sentences for the person who starts the job. */
  notes: string[];
  stopSeconds: number;
}

/** A server of the upstream, as assets/jobs/upstream.py asks it. */
export interface UpstreamQuestion {
  /** Network of the box through which the gateway reaches it. */
  network: string;
  url: string;
  model: string;
  /** The key's parts; empty: none. */
  key: TextPart[];
  /** Routes below /v1. */
  paths: string[];
}

export interface JobRun {
  name: string;
  job: JobConfig;
  folder: string;
  /** Key of the job in the stack config, to report mistakes in its template. */
  path: string;
  /** Text of the job's template. */
  template?: string;
}

/**
 * Plans one job's gateway. It shares only the model with the box's gateway and with other jobs.
 *
 * @throws ConfigError when the template is not a config
 */
export function planJob(context: PlanContext, run: JobRun): JobPlan {
  const { name, job, folder } = run;
  const { config: yaml, notes } = renderConfig(context, run);
  const deployments = deploymentsOf(context, job);
  const asksBackends = deployments.some(({ route }) => route.apiKey === "backend");
  const secrets = [
    ...new Set([
      ...deployments.flatMap(({ route }) => secretsOf(route).map((one) => one.name)),
      ...secretsOf(job.extra).map((one) => one.name),
    ]),
  ];
  const key = job.key ?? "made";
  const stopSeconds = job.drainTimeout + DRAIN_MARGIN_SECONDS;
  const env: Record<string, TextPart[]> = {
    LITELLM_STICKY_ROUTING_ALIASES: [shellQuote(stickyVariable(job))],
    ...Object.fromEntries(
      Object.entries(job.extra).map(([variable, value]) => [
        variable,
        typeof value === "string" ? [shellQuote(value)] : [{ secret: value.secret, as: "shell" as const }],
      ]),
    ),
    ...proxyBypass(
      job.extra,
      deployments.map(({ route }) => route.apiBase),
    ),
    LITELLM_CONFIG: [shellQuote(`${folder}/${CONFIG_FILE}`)],
    LITELLM_MASTER_KEY: [{ secret: JOB_KEY, as: "shell" }],
    ...Object.fromEntries(
      secrets.map((secret): [string, TextPart[]] => [secretVariable(secret), [{ secret, as: "shell" }]]),
    ),
    ...(asksBackends
      ? { [BACKEND_KEY]: [{ secret: "saltKey", as: "shell-derived" }] satisfies TextPart[] }
      : {}),
  };
  const needed = [
    ...secrets,
    ...(typeof key === "object" ? [key.secret] : []),
    ...(asksBackends ? ["saltKey"] : []),
  ];
  return {
    name,
    containerName: `${context.prefix}-job-${name}`,
    image: imageOf(context, "gateway"),
    edge: { containerName: `${context.prefix}-job-${name}-edge`, image: imageOf(context, "edge") },
    folder,
    files: {
      [CONFIG_FILE]: configFile(yaml),
      [ENV_FILE]: envFile(env),
      "entrypoint.sh": assetFile(context, "jobs/entrypoint.sh"),
      ...guardFiles(context, jobStack(context.config, job)),
      ...edgeFiles(context, run, entryOf(context, job), { key: JOB_KEY, stopSeconds }),
      ...trajectoryFilesOf(context, {
        ...job.trajectories,
        job: name,
        file: `${folder}/log/litellm-trajectory.jsonl`,
      }),
    },
    secrets: [...new Set(needed)],
    key,
    environment: environment(job),
    networks: [`${context.prefix}-edge`, ...("box" in job.upstream ? [`${context.prefix}-models`] : [])],
    endpoint: `http://127.0.0.1:${job.port}`,
    port: job.port,
    model: publicName(job),
    upstream: upstreamText(job),
    questions: deployments.flatMap(({ route }) => question(context, job, route)),
    notes,
    stopSeconds,
  };
}

function renderConfig(context: PlanContext, { path, job, template }: JobRun) {
  const own = parse(
    litellmConfig(jobStack(context.config, job), routedModels(context, job), {
      database: false,
      redis: false,
      drain: false,
      guard: true,
      replicas: 1,
    }),
  ) as Record<string, Record<string, unknown>>;
  own.litellm_settings = { ...own.litellm_settings, cache: false };
  if (job.stickyRoutingAliases.length > 0)
    own.router_settings = { ...own.router_settings, optional_pre_call_checks: ["session_affinity"] };
  if (template === undefined) return { config: stringify(own, { version: "1.1" }), notes: [] };
  const parsed = parseTemplate(template, `${path}.configTemplate`);
  if ("problem" in parsed) throw new ConfigError(context.config.stack, [parsed.problem]);
  const problems = checkTemplate(parsed.settings, `${path}.configTemplate`);
  if (problems.length > 0) throw new ConfigError(context.config.stack, problems);
  const { config, notes } = mergeTemplate(parsed.settings, own);
  return { config: stringify(config, { version: "1.1" }), notes };
}

/** The stack's config for the job's gateway, without the settings of the box's own gateway. */
function jobStack(config: StackConfig, job: JobConfig): StackConfig {
  const gateway = gatewaySchema.parse({
    trajectories: true,
    logs: config.gateway.logs,
    allowParameters: config.gateway.allowParameters,
  });
  const routing = {
    ...gateway.routing,
    ...{ timeoutSeconds: job.timeoutSeconds, retries: job.retries },
    // Samples of one prompt go where there is room; `stickyRoutingAliases` asks for more.
    affinitySeconds: 0,
  };
  return {
    ...config,
    gateway: { ...gateway, routing },
    cache: cacheSchema.parse({ mode: "none" }),
    database: databaseSchema.parse({ mode: "none" }),
    observability: observabilitySchema.parse({ mode: "none" }),
    models: {},
  };
}

/** The job's model, and a name for each sticky-routing alias that leads to one server. */
function routedModels(context: PlanContext, job: JobConfig): RoutedModel[] {
  const deployments = deploymentsOf(context, job);
  const { model } = entryOf(context, job);
  const aliasModels = job.stickyRoutingAliases.map((alias, index) => ({
    name: alias,
    model: { ...model, aliases: [] },
    deployments: [{ ...deployments[index % deployments.length]!, id: alias }],
  }));
  return [{ name: publicName(job), model, deployments }, ...aliasModels];
}

/** The upstream as an entry of the box's models: a declared one, or one for a server that runs outside the box. */
function entryOf({ config }: PlanContext, job: JobConfig): { name: string; model: ModelConfig } {
  const { upstream, aliases, timeoutSeconds } = job;
  if ("box" in upstream) {
    const { entry, model } = boxModel(config.models, upstream.box)!;
    return { name: entry, model: { ...model, aliases, timeoutSeconds } };
  }
  const { baseUrl, model, apiKey, messages } = upstream;
  const key = typeof apiKey === "object" ? apiKey : "none";
  const entry = openai.schema.parse({ engine: "openai", baseUrl, model, apiKey: key, messages });
  return { name: publicName(job), model: { ...entry, aliases, timeoutSeconds } };
}

function deploymentsOf(context: PlanContext, job: JobConfig): Deployment[] {
  const { upstream, price } = job;
  const { name, model } = entryOf(context, job);
  const { routed } = planModel(context, name, model);
  // A LoRA adapter is a model of its own, next to its entry's model.
  const found = ("box" in upstream && routed.find((one) => one.name === upstream.box)) || routed[0]!;
  return found.deployments.map((one) => ({
    ...one,
    // Limits belong to the box's own gateway, because each gateway would count separately.
    limits: {},
    route: {
      ...one.route,
      // The valve has waited already, and it knows how often to retry its servers.
      retries: one.route.retries ?? job.retries,
      ...dummyParams(job),
      info: { ...one.route.info, ...modelInfo({ price }) },
    },
  }));
}

/** A dummy key is no secret: the config contains it, like the stack's file. */
function dummyParams({ upstream }: JobConfig): Pick<Route, "params"> {
  if (!("apiKey" in upstream) || typeof upstream.apiKey !== "string" || upstream.apiKey === "none") return {};
  return { params: { api_key: upstream.apiKey } };
}

function question({ prefix }: PlanContext, { protocols }: JobConfig, route: Route): UpstreamQuestion[] {
  if (!route.apiBase) return [];
  const native = route.supportedEndpoints?.includes("/v1/messages") === true;
  const paths = protocols.map((protocol) =>
    protocol === "anthropic_compatible" && native ? "messages" : "chat/completions",
  );
  const literal = route.params?.api_key;
  const key: TextPart[] =
    route.apiKey === "backend"
      ? [{ secret: "saltKey", as: "derived" }]
      : typeof route.apiKey === "object"
        ? [{ secret: route.apiKey.secret, as: "raw" }]
        : typeof literal === "string"
          ? [literal]
          : [];
  const served = route.model.slice(route.model.indexOf("/") + 1);
  // A valve is only on the network of the models.
  const network = new URL(route.apiBase).hostname.startsWith("valve-")
    ? `${prefix}-models`
    : `${prefix}-edge`;
  return [{ network, url: route.apiBase, model: served, key, paths: [...new Set(paths)] }];
}

/** For Harbor's own callback, when a harness starts LiteLLM itself: MODEL=alias,alias. Empty: it does nothing. */
export function stickyVariable(job: JobConfig): string {
  const { stickyRoutingAliases: aliases } = job;
  return aliases.length > 0 ? `${publicName(job)}=${aliases.join(",")}` : "";
}

/** No secrets here: `docker inspect` shows it. */
function environment({ drainTimeout }: JobConfig): Record<string, string> {
  return {
    HOME: "/tmp",
    XDG_CACHE_HOME: "/tmp/cache",
    LITELLM_MODE: "PRODUCTION",
    LITELLM_LOG: "ERROR",
    LITELLM_LOCAL_MODEL_COST_MAP: "True",
    LITELLM_UI_PATH: "/tmp/ui",
    LITELLM_ASSETS_PATH: "/tmp/assets",
    LITELLM_MIGRATION_DIR: "/tmp/migrations",
    LITELLM_NON_ROOT: "true",
    PYTHONDONTWRITEBYTECODE: "1",
    GRACEFUL_SHUTDOWN_TIMEOUT: String(drainTimeout),
    KEEPALIVE_TIMEOUT: "120",
  };
}
