import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { Box } from "../components/Box";
import { saltFingerprint, secretFacts } from "../configs/secrets/facts";
import type { sections } from "../configs/stack/config";
import { readBoxFiles } from "../platform/stack/boxFiles";
import { readHostFiles } from "../platform/stack/hostCertificates";
import { readOwnFiles } from "../platform/stack/ownFiles";
import { prepared, withoutStackTrace } from "./stackProgram";

type Section<Name extends keyof typeof sections> = z.input<(typeof sections)[Name]>;

/** The arguments of a {@link ModelServer}: the sections of a stack config, as plain values. */
export interface ModelServerArgs {
  /** Public name to model: engine, source, devices, aliases. docs/adding-a-model.md has every key. Default: no model. */
  models?: Record<string, Record<string, unknown>>;
  /** The machine: `docker` (`unix://…` or `ssh://user@host`), `dataDir`, `gpus`. Default: this machine without GPUs. */
  host?: Section<"host">;
  /** Port, address, names, replicas, limits, TLS, and LiteLLM's settings. Default: 127.0.0.1:4000. */
  gateway?: Section<"gateway">;
  /** Redis: `bundled`, `external` or `none`. */
  cache?: Section<"cache">;
  /** Postgres: `bundled`, `external` or `none`. */
  database?: Section<"database">;
  /** Teams, keys and budgets. */
  access?: Section<"access">;
  /** Where backups go, and how many to keep. */
  backup?: Section<"backup">;
  /** Prometheus, alerts and dashboards. Default: none. */
  observability?: Section<"observability">;
  /** Jobs that `gpubox job start` starts. */
  jobs?: Section<"jobs">;
  /** What the policies refuse, and waivers. */
  policy?: Section<"policy">;
  /** Other boxes whose models this gateway serves too. */
  boxes?: Section<"boxes">;
  /** Models of other stacks that this host computes a part of. */
  joins?: Section<"joins">;
  /** Budgets of memory of models that are loaded on demand. */
  groups?: Section<"groups">;
  /**
   * Secret values by the names that the sections use: always `masterKey` and `saltKey`, and `cachePassword` and
   * `databasePassword` with bundled Redis and Postgres. They must be plain strings, for example from `config.require`,
   * because the plan depends on which of them are set. They become Pulumi secrets at once and reach the host only in
   * files.
   */
  secrets: Record<string, string>;
  /** Name of the box on its host: containers are called `gpubox-<box>-…`. Default: the name of the Pulumi stack. */
  box?: string;
  /** Folder of `models.lock.json` and `.gpubox/`. Default: the working directory, which Pulumi sets to the project's. */
  projectDir?: string;
}

/**
 * A whole model server on one host, as one component of your own Pulumi program.
 *
 * @throws pulumi.RunError with every mistake of the arguments, each with its path and a fix
 * @example
 * const config = new pulumi.Config();
 * const server = new ModelServer("box", {
 *   host: { docker: "ssh://ops@gpu1.example", gpus: [{ id: 0, memoryGiB: 24 }] },
 *   models: { coder: { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0], memoryGiB: 20 } } },
 *   secrets: {
 *     masterKey: config.require("masterKey"),
 *     saltKey: config.require("saltKey"),
 *     cachePassword: config.require("cachePassword"),
 *     databasePassword: config.require("databasePassword"),
 *   },
 * });
 * export const endpoint = server.endpoint;
 */
export class ModelServer extends pulumi.ComponentResource {
  /** Base URL for clients, without `/v1`. */
  readonly endpoint: pulumi.Output<string>;
  /** Base URL of the admin routes and the UI, on the host's loopback. */
  readonly adminEndpoint: pulumi.Output<string>;
  /** Public names of the models. */
  readonly models: pulumi.Output<string[]>;

  constructor(name: string, args: ModelServerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:ModelServer", name, {}, opts);
    const { secrets, box = pulumi.getStack(), projectDir = process.cwd(), ...values } = args;
    const raw = {
      stack: box,
      values,
      secrets: secretFacts(secrets, () => true),
      saltFingerprint: secrets.saltKey && saltFingerprint(secrets.saltKey),
      hostFiles: readHostFiles(values.gateway, values.host),
      boxFiles: readBoxFiles(projectDir, values),
      ownFiles: readOwnFiles(projectDir, values),
    };
    const { plan } = withoutStackTrace(() => prepared(projectDir, raw, secrets, undefined));
    new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) }, { parent: this });
    this.endpoint = pulumi.output(plan.endpoint);
    this.adminEndpoint = pulumi.output(plan.adminEndpoint);
    this.models = pulumi.output(plan.models);
    this.registerOutputs({
      endpoint: this.endpoint,
      adminEndpoint: this.adminEndpoint,
      models: this.models,
    });
  }
}
