import type { ModelConfig } from "../engines";
import type { Route } from "../engines/engine";
import type { FilePlan } from "../kit/text";
import { configFile, directory, envFile, hashOf, stableJson } from "../kit/text";
import type { GatewayPlan } from "../kit/types";
import type { GatewayConfig } from "../schema/gateway";
import type { StackConfig } from "../stack/config";
import { modulesOf } from "../stack/modules";
import { secretsOf } from "../stack/optionalModels";
import { gatewayReplicas } from "../stack/replicas";
import { isForMany, openedIn } from "../stack/wildcards";
import { planAccess } from "./access";
import { assetFiles, container, health, imageOf, type PlanContext } from "./context";
import { gatewayForeignNetworks } from "./foreignNetworks";
import {
  databaseUrl,
  environment,
  externalDatabase,
  ownVariables,
  redisVariables,
  uiVariables,
} from "./gatewayVariables";
import { guardFiles } from "./guard";
import { BACKEND_KEY, litellmConfig } from "./litellm";
import { planMigration } from "./migration";
import { GATEWAYS_ALIAS, langfuseVariables } from "./observability/gateway";
import { namesProxy, proxyBypass } from "./proxies";
import type { Deployment, RoutedModel } from "./routing";
import { secretVariable } from "./secretVariable";
import { ssoFiles } from "./sso";
import { trajectoryDirectory, trajectoryFiles, trajectoryMount } from "./trajectories";

/** `nobody` of LiteLLM's non-root image; the recipe uses the same. */
const NOBODY = 65534;

/** Seconds until a gateway is ready and has answered through every new model. */
const READY_SECONDS = 300;

/** Seconds that a gateway gets beyond `drainTimeout` to flush its logs. */
const DRAIN_MARGIN_SECONDS = 60;

/** True where the gateway keeps keys and spend in a database. */
export function usesDatabase({ config }: Pick<PlanContext, "config">): boolean {
  return config.database.mode !== "none";
}

/**
 * The gateway as an immutable generation: config, env file and entrypoint lie in a directory that is named by the hash of
 * everything a running gateway reads, and never change under it.
 *
 * @param loadSeconds that its proof may spend on loading models
 */
export function planGateway(context: PlanContext, models: RoutedModel[], loadSeconds: number): GatewayPlan {
  const { config } = context;
  const replicas = gatewayReplicas(config, context.resolved.host);
  const database = usesDatabase(context);
  const routes = models.flatMap(({ deployments }) => deployments.map(({ route }) => route));
  const asksBackends = routes.some(({ apiKey }) => apiKey === "backend");
  const modelHashes = Object.fromEntries(
    models.map(({ name, model, deployments }) => [
      name,
      hashOf({
        model: asServed(model),
        deployments,
        keys: deployments.flatMap(({ route }) =>
          secretsOfRoute(route).map((secret) => context.secrets[secret]?.fingerprint),
        ),
      }),
    ]),
  );
  const files: Record<string, FilePlan> = {
    "config.yaml": configFile(
      litellmConfig(config, models, {
        database,
        redis: config.cache.mode !== "none",
        drain: true,
        guard: true,
        replicas,
      }),
    ),
    "gateway.env": envFile({
      LITELLM_MASTER_KEY: [{ secret: "masterKey", as: "shell" }],
      LITELLM_SALT_KEY: [{ secret: "saltKey", as: "shell" }],
      DRAIN_ENDPOINT_TOKEN: [{ secret: "masterKey", as: "shell-derived" }],
      ...redisVariables(context),
      ...langfuseVariables(config),
      ...(database ? { DATABASE_URL: databaseUrl(context), ...uiVariables(context) } : {}),
      ...Object.fromEntries(
        [...new Set([...routes.flatMap(secretsOfRoute), ...addedSecrets(config)])].map((secret) => [
          secretVariable(secret),
          [{ secret, as: "shell" }],
        ]),
      ),
      ...ownVariables(config),
      ...proxyBypass(
        config.gateway.env,
        routes.map(({ apiBase }) => apiBase),
      ),
      // Made of the salt key, which never changes: another master key must not load every model anew.
      ...(asksBackends ? { [BACKEND_KEY]: [{ secret: "saltKey", as: "shell-derived" }] } : {}),
    }),
    ...assetFiles(context, {
      "entrypoint.sh": "gateway/entrypoint.sh",
      "prove.py": "gateway/prove.py",
      "health.sh": "gateway/health.sh",
      "heal.sh": "health/heal.sh",
    }),
    ...(database
      ? assetFiles(context, {
          "migrate.py": "gateway/migrate.py",
          "migrate.sh": "gateway/migrate.sh",
          "access.py": "gateway/access.py",
          "people.py": "gateway/people.py",
          "records.py": "gateway/records.py",
          "database.sh": "gateway/database.sh",
        })
      : {}),
    ...externalDatabase(context),
    ...ssoFiles(context),
    ...guardFiles(context, config),
    // Where LiteLLM looks for them: beside its config.
    ...moduleFiles(config),
    ...trajectoryFiles(context),
  };
  const draft = directory("", NOBODY, files, context.secrets);
  const joined = gatewayForeignNetworks(config);
  const generation = hashOf({
    files: draft.hash,
    image: imageOf(context, "gateway"),
    drainTimeout: config.gateway.drainTimeout,
    memoryMiB: config.gateway.memoryMiB,
    modelHashes,
    ...(Object.keys(joined).length > 0 ? { joined } : {}),
  });
  const opens = openedIn(config.models);
  const guardrails = Object.keys(config.gateway.guardrails);
  const description = stableJson({
    ...{ generation, database, models: listed(models, modelHashes, config.gateway) },
    ...(opens.length > 0 ? { opens } : {}),
    ...(guardrails.length > 0 ? { guardrails } : {}),
  });
  files["generation.json"] = configFile(description);
  const own = directory(`${context.dataDir}/gateway/${generation}`, NOBODY, files, context.secrets);
  const gateway = container(
    context,
    {
      name: "gateway",
      role: "gateway",
      entrypoint: ["sh"],
      command: ["/etc/gpubox/entrypoint.sh"],
      user: `${NOBODY}:${NOBODY}`,
      env: {
        ...environment(config.gateway),
        // The plan's migration step runs once, beforehand; a starting gateway only compares the schema.
        ...(database ? { DISABLE_SCHEMA_UPDATE: "true" } : {}),
      },
      networks: {
        edge: [],
        data: [],
        models: config.observability.mode === "bundled" ? [GATEWAYS_ALIAS] : [],
        ...joined,
      },
      hostGateway: true,
      mounts: [
        { kind: "directory", source: own.path, target: "/etc/gpubox", readOnly: true },
        ...trajectoryMount(context),
      ],
      tmpfs: { "/tmp": "rw,nosuid,size=512m,mode=1777" },
      memoryMiB: config.gateway.memoryMiB,
      pidsLimit: config.gateway.pidsLimit,
      health: {
        ...health("CMD", "sh", "/etc/gpubox/health.sh"),
        // Its look has 8 s, and a Python on a busy machine takes some to start.
        timeoutSeconds: 20,
        startPeriodSeconds: 120,
      },
      readySeconds: READY_SECONDS + loadSeconds,
      stopGraceSeconds: config.gateway.drainTimeout + DRAIN_MARGIN_SECONDS,
      replacement: "start-first",
    },
    own.hash,
  );
  gateway.labels["gpubox.generation"] = generation;
  const steps = database
    ? { before: planMigration(context, gateway, own), access: planAccess(context) }
    : { before: [] };
  return {
    container: gateway,
    directory: own,
    writable: trajectoryDirectory(context, NOBODY),
    generation,
    description,
    modelHashes,
    usesDatabase: database,
    ...steps,
    replicas,
    drainSeconds: config.gateway.drainTimeout,
  };
}

/** An entry without what no gateway sees of it. */
function asServed(model: ModelConfig): ModelConfig {
  if (!("kubernetes" in model)) return model;
  const { kubernetes: _, ...served } = model;
  return served as ModelConfig;
}

/** The user's own modules, as files of the generation. */
export function moduleFiles(config: StackConfig): Record<string, FilePlan> {
  return Object.fromEntries(
    Object.entries(modulesOf(config)).map(([name, text]) => [`${name}.py`, configFile(text ?? "")]),
  );
}

/** Names of the secrets that go to guardrails and through routes of the stack's own. */
export function addedSecrets({ gateway: { guardrails, passThrough } }: StackConfig): string[] {
  return secretsOf([guardrails, passThrough]).map(({ name }) => name);
}

function secretsOfRoute(route: Route): string[] {
  return secretsOf(route).map(({ name }) => name);
}

/** Every name that /v1/models must list; in place of an entry that opens many, LiteLLM lists what it knows of its provider. An alias is its model's route, so that one proof serves both. */
function listed(models: RoutedModel[], hashes: Record<string, string>, gateway: GatewayConfig) {
  const single = models.filter(({ name }) => !isForMany(name));
  const entries = single.flatMap(({ name, model, deployments }) => [
    [
      name,
      {
        hash: hashes[name],
        mode: model.mode,
        prove: model.start !== "manual",
        ...elsewhere(deployments, gateway),
      },
    ],
    ...model.aliases.map((alias) => [alias, { hash: hashes[name], mode: model.mode, prove: false }]),
  ]);
  return Object.fromEntries(entries) as Record<
    string,
    { hash: string; mode: string; prove: boolean; elsewhere?: string[] }
  >;
}

/**
 * Where the servers of a model listen that gpubox does not start: the proof gives up soon when none of them does. Through a proxy
 * it cannot see that.
 */
function elsewhere(deployments: Deployment[], gateway: GatewayConfig): { elsewhere?: string[] } {
  const urls = deployments.map(({ unguarded, route }) =>
    unguarded && route.apiBase && URL.canParse(route.apiBase) ? new URL(route.apiBase) : undefined,
  );
  if (namesProxy(gateway.env) || !urls.every((url) => url !== undefined)) return {};
  return {
    elsewhere: urls.map(
      ({ protocol, hostname, port }) => `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`,
    ),
  };
}
