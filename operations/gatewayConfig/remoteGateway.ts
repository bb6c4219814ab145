import { planStackGpus } from "../../configs/capacity/stack";
import { bracketed, isWildcard } from "../../configs/network/addresses";
import type { PlanContext, PlanInput } from "../../configs/plan/context";
import { addedSecrets } from "../../configs/plan/gateway";
import { litellmConfig } from "../../configs/plan/litellm";
import { routedModels, routeOf } from "../../configs/plan/routedModel";
import type { Deployment } from "../../configs/plan/routing";
import { secretVariable } from "../../configs/plan/secretVariable";
import type { StackConfig } from "../../configs/stack/config";
import { type Instance, instancesOf, throughGateway } from "../../configs/stack/instances";
import { modulesOf } from "../../configs/stack/modules";
import { secretsOf } from "../../configs/stack/optionalModels";
import type { Profile } from "../../configs/stack/profiles";

/** A gateway on another machine: its config.yaml, and the names of its environment variables. */
export interface RemoteGatewayPlan {
  config: string;
  /** `NAME=` lines for secrets, `NAME=value` lines for the rest. */
  env: string;
  /** The user's own Python modules by file name; LiteLLM looks for them beside its config. */
  modules: Record<string, string>;
  /** Why the gateway lacks a model, by model. */
  leftOut: Record<string, string>;
  /** Differences from the box's own gateway, a sentence each. */
  notes: string[];
}

/** How a gateway on another machine reaches one server of a model. */
interface Reached {
  baseUrl: string;
  apiKey?: { secret: string } | "none";
}

/**
 * Renders a stack's gateway for another machine: without valves and edge, and only with the models that it can reach.
 *
 * @param input as for the box; secrets are not read
 */
export function planRemoteGateway(
  input: Omit<PlanInput, "secrets" | "saltFingerprint">,
  profile: Profile,
): RemoteGatewayPlan {
  const { config } = input;
  const context: PlanContext = {
    ...{ ...input, secrets: {}, saltFingerprint: "" },
    prefix: `gpubox-${config.stack}`,
    dataDir: config.host.dataDir,
    gpus: planStackGpus(config, input.lock ?? {}),
  };
  const leftOut: Record<string, string> = {};
  const models: StackConfig["models"] = {};
  const routed = Object.entries(config.models).flatMap(([name, entry]) => {
    const deployments = deploymentsOf(context, name, profile);
    if (typeof deployments === "string") {
      leftOut[name] = deployments;
      return [];
    }
    models[name] = entry;
    return routedModels(name, entry, deployments);
  });
  const database = profile === "stateful";
  const redis = database && config.cache.mode !== "none";
  const { budget, ...limits } = config.gateway.limits;
  const kept = {
    ...config,
    models,
    // The log's files are next to the box's own config.
    gateway: {
      ...config.gateway,
      trajectories: false,
      limits: { ...limits, ...(database ? { budget } : {}) },
    },
  };
  return {
    // How many gateways of this kind there will be is unknown here.
    config: litellmConfig(kept, routed, { database, redis, drain: false, guard: false, replicas: 1 }),
    env: environment(
      kept,
      routed.flatMap(({ deployments }) => deployments),
      { database, redis },
    ),
    modules: Object.fromEntries(
      Object.entries(modulesOf(config)).map(([name, text]) => [`${name}.py`, text ?? ""]),
    ),
    leftOut,
    notes: [
      ...(budget && !database ? ["Without a database there is no budget for the whole gateway."] : []),
      ...(redis
        ? []
        : ["Without Redis each gateway counts limits and budgets for itself, and caches in its own memory."]),
      ...(limits.maxParallel
        ? ["gateway.limits.maxParallel has no effect, because the edge enforces it."]
        : []),
      ...(config.gateway.trajectories ? ["It keeps no trajectory log; the box does."] : []),
    ],
  };
}

/** The servers of a model, or why that gateway has none. */
function deploymentsOf(context: PlanContext, name: string, profile: Profile): Deployment[] | string {
  const entry = context.config.models[name]!;
  const differs = entry.profiles?.[profile];
  if (differs === false) return `profiles.${profile} is false`;
  if (!throughGateway(entry)) return "its API is its own";
  const instances = instancesOf(name, entry);
  // One URL stands for all of a model's servers.
  const asked =
    typeof differs === "object"
      ? [{ ...instances[0]!, id: name, weight: undefined, order: undefined }]
      : instances;
  const deployments = asked.map((instance) => {
    const reached = typeof differs === "object" ? differs : reachedBy(context.config, instance);
    return typeof reached === "string" ? reached : deployment(context, name, instance, reached);
  });
  const reason = deployments.find((one) => typeof one === "string");
  return reason ?? deployments.filter((one) => typeof one !== "string");
}

/** Where other machines find it; undefined when the entry itself says it; a text when they cannot. */
function reachedBy(config: StackConfig, { model }: Instance): Reached | undefined | string {
  if (model.engine === "cloud") return undefined;
  if (model.engine === "openai") {
    const { hostname } = new URL(model.baseUrl ?? "");
    return hostname.includes(".") && !hostname.endsWith(".internal")
      ? undefined
      : `${hostname} is known only on this box; write profiles with its baseUrl for others`;
  }
  const expose = "expose" in model ? model.expose : undefined;
  if (!expose) return "only this box reaches it; write expose, or profiles with a baseUrl";
  const host = isWildcard(expose.bind) ? config.gateway.hosts[0] : expose.bind;
  if (!host || host.startsWith("127.") || host === "::1")
    return "its `expose` is only for this box; bind it to an address that others reach";
  return { baseUrl: `http://${bracketed(host)}:${expose.port}/v1`, apiKey: expose.key };
}

function deployment(
  context: PlanContext,
  name: string,
  instance: Instance,
  reached: Reached | undefined,
): Deployment {
  const { id, weight, order, model } = instance;
  const { rpm, tpm, maxParallel, budget, tags } = model;
  const rest = { id, weight, order, limits: { rpm, tpm, maxParallel, budget, tags }, unguarded: true };
  if (!reached) return { ...rest, route: routeOf(context, name, instance, "") };
  const baseUrl = reached.baseUrl.replace(/\/$/, "");
  const route = routeOf(context, name, instance, baseUrl.replace(/\/v\d+$/, ""));
  const apiKey = reached.apiKey ?? (route.apiKey === "backend" ? undefined : route.apiKey);
  return {
    ...rest,
    route: {
      ...route,
      // A published port and a public URL serve only /v1, without Ollama's own API.
      model: route.model.replace(/^ollama_chat\//, "hosted_vllm/"),
      ...(model.engine === "openai" || route.model.startsWith("ollama_chat/") ? { apiBase: baseUrl } : {}),
      apiKey: apiKey === "none" ? undefined : apiKey,
    },
  };
}

/** Names of secrets without values, and other variables with the values of the box's gateway. */
function environment(
  config: StackConfig,
  deployments: Deployment[],
  { database, redis }: { database: boolean; redis: boolean },
): string {
  const { gateway, observability } = config;
  const secrets = deployments.flatMap(({ route }) => secretsOf(route).map(({ name }) => name));
  secrets.push(...addedSecrets(config));
  const own = Object.entries(gateway.env);
  const { langfuse } = observability;
  const lines = [
    "# Names only. Fill in the values where the gateway runs, and keep the file out of every repository.",
    "# Key of clients and admins; starts with sk-.",
    "LITELLM_MASTER_KEY=",
    ...(database
      ? ["# Encrypts values in the database and must never change.", "LITELLM_SALT_KEY=", "DATABASE_URL="]
      : []),
    ...(redis ? ["REDIS_HOST=", "REDIS_PORT=6379", "REDIS_PASSWORD="] : []),
    ...[...new Set(secrets)].flatMap((secret) => [
      `# pulumi config get gpubox:${secret}`,
      `${secretVariable(secret)}=`,
    ]),
    ...(langfuse
      ? [
          ...[`# pulumi config get gpubox:${langfuse.publicKey.secret}`, "LANGFUSE_PUBLIC_KEY="],
          ...[`# pulumi config get gpubox:${langfuse.secretKey.secret}`, "LANGFUSE_SECRET_KEY="],
        ]
      : []),
    ...own.flatMap(([name, value]) =>
      typeof value === "string" ? [] : [`# pulumi config get gpubox:${value.secret}`, `${name}=`],
    ),
    "",
    "# No secrets.",
    ...own.flatMap(([name, value]) => (typeof value === "string" ? [`${name}=${value}`] : [])),
    ...(langfuse ? [`LANGFUSE_OTEL_HOST=${langfuse.host}`] : []),
    "LITELLM_MODE=PRODUCTION",
    `LITELLM_LOG=${gateway.logs.level}`,
    `GRACEFUL_SHUTDOWN_TIMEOUT=${gateway.drainTimeout}`,
  ];
  return `${lines.join("\n")}\n`;
}
