import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { Box } from "../components/Box";
import { recordGeneration } from "../components/Record";
import { changeNotices } from "../configs/plan/changeNotices";
import { policyWords } from "../configs/policy/judge";
import { withoutLeftOut } from "../configs/stack/optionalModels";
import { gpuWords } from "../operations/preview/gpus";
import { portText } from "../operations/preview/inputs";
import { portsOf } from "../operations/preview/resources";
import { readDeployed } from "../platform/stack/history";
import { readPulumiConfig } from "../platform/stack/pulumiConfig";
import { beginUp, endUp, unfinishedUp, unfinishedWords } from "../platform/stack/unfinished";
import { prepared, withoutStackTrace } from "./prepared";

const hostId = z.string();

/** What a stack exports. */
export interface StackOutputs {
  /** Base URL for clients, without `/v1`. */
  endpoint: string;
  /** Base URL of the admin routes and the UI, on the host's loopback. */
  adminEndpoint: string;
  /** Public names of the models. */
  models: string[];
  /** What runs on each device, in words. */
  gpus: Record<string, string>;
  /** Container of each published port. */
  ports: Record<string, string>;
  /** What policies say about the stack. */
  policy: string[];
  notes: string[];
}

/**
 * The whole program of a project whose stack configs keep everything under `gpubox:`. Call it once, and export its
 * result.
 *
 * @param projectDir folder of the project's Pulumi.yaml
 * @throws pulumi.RunError with every mistake of the stack config, each with its path and a fix
 * @example
 * export const { endpoint, adminEndpoint, models } = stackProgram(__dirname);
 */
export function stackProgram(projectDir: string): StackOutputs {
  return withoutStackTrace(() => run(projectDir));
}

function run(projectDir: string): StackOutputs {
  const { raw, secrets } = readPulumiConfig(projectDir);
  const { config, plan, lock } = prepared(projectDir, raw, secrets, hostId.safeParse(raw.values.hostId).data);
  const unfinished = unfinishedUp(projectDir, plan.stack);
  if (unfinished) pulumi.log.warn(unfinishedWords(unfinished));
  for (const sentence of changeNotices(readDeployed(projectDir, plan.stack), plan)) pulumi.log.warn(sentence);
  for (const sentence of policyWords(plan.policy)) pulumi.log.warn(sentence);
  const changes = !pulumi.runtime.isDryRun();
  if (changes) beginUp(projectDir, plan.stack);
  const box = new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) });
  const record = recordGeneration(plan, box, { values: raw.values, boxes: raw.boxFiles });
  // Known when the record is written, after everything else.
  if (changes) record.id.apply(() => endUp(projectDir, plan.stack));
  return {
    endpoint: plan.endpoint,
    adminEndpoint: plan.adminEndpoint,
    models: plan.models,
    gpus: gpuWords({ config: withoutLeftOut(config, raw.secrets), lock }),
    ports: Object.fromEntries(portsOf(plan).map((port) => [portText(port), port.container])),
    policy: policyWords(plan.policy),
    notes: plan.notes,
  };
}
