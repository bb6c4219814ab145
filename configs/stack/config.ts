import { z } from "zod";
import { engines, type ModelConfig } from "../engines";
import { type AccessConfig, accessSchema } from "../schema/access";
import { type BackupConfig, backupSchema } from "../schema/backup";
import { type BenchConfig, benchSchema } from "../schema/bench";
import { type BoxesConfig, boxesSchema } from "../schema/boxes";
import { type GatewayConfig, gatewaySchema } from "../schema/gateway";
import { type GroupsConfig, groupsSchema } from "../schema/groups";
import { type HostConfig, hostSchema } from "../schema/host";
import { type JobsConfig, jobsSchema } from "../schema/jobs";
import { type KubernetesConfig, kubernetesSchema } from "../schema/kubernetes";
import { type JoinsConfig, joinsSchema } from "../schema/nodes";
import { type ObservabilityConfig, observabilitySchema } from "../schema/observability";
import { type PolicyConfig, policySchema } from "../schema/policy";
import { entryName } from "../schema/shared";
import { type CacheConfig, cacheSchema, type DatabaseConfig, databaseSchema } from "../schema/stores";
import { type Target, targetSchema } from "../schema/target";

/** The sections of a stack config that are objects; every other key of the namespace is a secret. */
export const sections = {
  host: hostSchema,
  gateway: gatewaySchema,
  cache: cacheSchema,
  database: databaseSchema,
  access: accessSchema,
  backup: backupSchema,
  bench: benchSchema,
  observability: observabilitySchema,
  jobs: jobsSchema,
  policy: policySchema,
  boxes: boxesSchema,
  groups: groupsSchema,
  joins: joinsSchema,
  kubernetes: kubernetesSchema,
};

export type SectionName = keyof typeof sections;

/** A part of a server over several hosts that another stack's gateway serves. */
export interface Worker {
  /** That stack. */
  stack: string;
  /** From 1. */
  rank: number;
  model: ModelConfig;
}

/** A stack config without mistakes, with every default filled in. */
export interface StackConfig {
  stack: string;
  /** What `up` brings it up on. */
  target: Target;
  host: HostConfig;
  gateway: GatewayConfig;
  cache: CacheConfig;
  database: DatabaseConfig;
  access: AccessConfig;
  backup: BackupConfig;
  /** What a model's server may be slower than the one before it. */
  bench: BenchConfig;
  observability: ObservabilityConfig;
  /** Name to what `gpubox job start` starts. */
  jobs: JobsConfig;
  policy: PolicyConfig;
  /** Other boxes; `models` has theirs. */
  boxes: BoxesConfig;
  /** Budgets of models that are loaded on demand. */
  groups: GroupsConfig;
  /** Models of other stacks that this host has a rank of. */
  joins: JoinsConfig;
  /** How the stack stands on a cluster. */
  kubernetes: KubernetesConfig;
  /** The same as `joins`, with what their entries say. */
  workers: Record<string, Worker>;
  /** Public name to entry, in the order of the file. */
  models: Record<string, ModelConfig>;
  /** Texts of the files beside the stack file that entries and `gateway.modules` name, by path: `./template.jinja`. */
  ownFiles?: Record<string, string>;
}

/** Every entry of which this host runs a server, or a part of one. */
export function entriesOfHost({ models, workers }: Pick<StackConfig, "models" | "workers">) {
  return { ...models, ...modelsOf(workers) };
}

/** The entries of ranks. */
export function modelsOf(workers: StackConfig["workers"]): Record<string, ModelConfig> {
  return Object.fromEntries(Object.entries(workers).map(([name, { model }]) => [name, model]));
}

/** Secrets that `gpubox up` generates when they are missing. */
export const generatedSecrets = [
  "masterKey",
  "saltKey",
  "cachePassword",
  "databasePassword",
  "grafanaPassword",
] as const;

export type GeneratedSecret = (typeof generatedSecrets)[number];

/** JSON Schema of `Pulumi.<stack>.yaml` for editors, made from the same zod schemas that `preview` validates with. */
export function stackJsonSchema(): object {
  const secret = { type: "object", properties: { secure: { type: "string" } }, required: ["secure"] };
  const input = (schema: z.ZodType) => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
    return rest;
  };
  const models = {
    type: "object",
    description: "Public name to model. One entry makes the container, the route and the aliases.",
    propertyNames: input(entryName),
    additionalProperties: { anyOf: Object.values(engines).map((engine) => input(engine.schema)) },
  };
  const keys = Object.entries(sections).map(([name, schema]) => [`gpubox:${name}`, input(schema)]);
  const fingerprint = {
    type: "string",
    description: "Written by `gpubox up`: the salt key by its fingerprint.",
  };
  const hostId = {
    type: "string",
    description: "Written by `gpubox up`: the Docker engine behind SSH that the box is on.",
  };
  const version = {
    type: "string",
    description: "Written by `gpubox up`: the version of gpubox that brought the box up last.",
  };
  const secrets = generatedSecrets.map((name) => [`gpubox:${name}`, secret]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "gpubox stack config",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: Object.fromEntries([
          ...keys,
          ["gpubox:models", models],
          ["gpubox:target", input(targetSchema)],
          ["gpubox:saltFingerprint", fingerprint],
          ["gpubox:hostId", hostId],
          ["gpubox:version", version],
          ...secrets,
        ]),
        patternProperties: { "^gpubox:": secret },
      },
    },
  };
}
