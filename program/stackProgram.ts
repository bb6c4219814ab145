import "../platform/pulumi/stackTraces";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { Box } from "../components/Box";
import { Cluster } from "../components/Cluster";
import { recordGeneration } from "../components/Record";
import { ConfigError } from "../configs/kit/problems";
import type { BoxPlan } from "../configs/kit/types";
import type { ModelLock } from "../configs/models/facts";
import { parseStack, type RawStack } from "../configs/parse";
import { planBox } from "../configs/plan/box";
import { changeNotices, newLosses } from "../configs/plan/changeNotices";
import { clusterEndpoint } from "../configs/plan/kubernetes/target";
import { ownerOf } from "../configs/plan/owner";
import { policyWords } from "../configs/policy/judge";
import { saltFingerprint } from "../configs/secrets/facts";
import type { StackConfig } from "../configs/stack/config";
import { withoutLeftOut } from "../configs/stack/optionalModels";
import { gpuWords } from "../operations/preview/gpus";
import { portText } from "../operations/preview/inputs";
import { portsOf } from "../operations/preview/resources";
import { checkJoinedNetworks } from "../operations/up/foreignNetworks";
import { UserError } from "../platform/process";
import { standInForEngine } from "../platform/ssh/absentEngine";
import { connectHost } from "../platform/ssh/connection";
import { loadAssets } from "../platform/stack/assets";
import { checkEngine } from "../platform/stack/checkEngine";
import { readDeployed } from "../platform/stack/history";
import { readModelLock } from "../platform/stack/modelLock";
import { checkPlace } from "../platform/stack/owner";
import { readPulumiConfig } from "../platform/stack/pulumiConfig";
import { readResolved } from "../platform/stack/resolved";
import { beginUp, endUp, unfinishedUp, unfinishedWords } from "../platform/stack/unfinished";
import { requireBuiltImages } from "./builtImages";
import { preparedForCluster } from "./cluster";

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
  if (raw.values.target === "kubernetes") return onCluster(projectDir, raw, secrets);
  const { config, plan, lock } = prepared(projectDir, raw, secrets, hostId.safeParse(raw.values.hostId).data);
  const warnings = changeNotices(readDeployed(projectDir, plan.stack), plan);
  return bringUp(
    { projectDir, raw, config, plan, lock, warnings },
    () => new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) }),
  );
}

/** The same on the cluster that the stack names as its target. */
function onCluster(projectDir: string, raw: RawStack, secrets: Record<string, string>): StackOutputs {
  const { losses, ...made } = preparedForCluster(projectDir, raw, secrets);
  const { plan } = made;
  const fresh = newLosses(readDeployed(projectDir, plan.stack)?.losses, losses);
  const warnings =
    fresh.length > 0 ? [["Compared with a box on Docker it loses:", ...fresh].join("\n- ")] : [];
  const outputs = bringUp(
    { projectDir, raw, ...made, warnings, losses },
    () => new Cluster(plan.prefix, { plan, secrets: pulumi.secret(secrets) }),
  );
  // What a container publishes on a host, a Service has here.
  return { ...outputs, endpoint: clusterEndpoint(plan), ports: {} };
}

interface Bringing extends Prepared {
  projectDir: string;
  raw: RawStack;
  /** What this change means for clients, or this target for the box. */
  warnings: string[];
  /** What the box lacks on a cluster. Absent on a host. */
  losses?: string[];
}

/** What both targets have around their resources: warnings, the mark of an unfinished run, the record, and the outputs. */
function bringUp(
  { projectDir, raw, config, plan, lock, warnings, losses }: Bringing,
  make: () => pulumi.ComponentResource,
): StackOutputs {
  const unfinished = unfinishedUp(projectDir, plan.stack);
  if (unfinished) pulumi.log.warn(unfinishedWords(unfinished));
  for (const sentence of [...warnings, ...policyWords(plan.policy)]) pulumi.log.warn(sentence);
  const changes = !pulumi.runtime.isDryRun();
  if (changes) beginUp(projectDir, plan.stack);
  const box = make();
  const record = recordGeneration(plan, box, {
    values: raw.values,
    boxes: raw.boxFiles,
    ownFiles: config.ownFiles,
    losses,
  });
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

export interface Prepared {
  config: StackConfig;
  plan: BoxPlan;
  /** The model lock that the plan was made from. */
  lock: ModelLock;
}

/**
 * Everything before the first resource: parses the config, connects the host, checks that the box there belongs to this
 * stack, makes the plan, and checks that its images are available.
 *
 * @param secrets values by name
 * @param hostId the engine recorded in the stack's file
 * @throws ConfigError with every mistake of the config; UserError when the host is not ready for it
 */
export function prepared(
  projectDir: string,
  raw: RawStack,
  secrets: Record<string, string>,
  hostId: string | undefined,
): Prepared {
  const lock = readModelLock(projectDir);
  const config = parseStack({ ...raw, lock });
  const fingerprint = saltFingerprint(secrets.saltKey ?? "");
  const reached = reachHost(projectDir, config, () => {
    checkEngine(config);
    checkPlace(config, ownerOf(config.stack, fingerprint), hostId);
    checkJoinedNetworks(config);
  });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: fingerprint,
    resolved: readResolved(projectDir, raw.stack),
    assets: loadAssets(),
  });
  if (reached && !pulumi.runtime.isDryRun()) requireBuiltImages(plan);
  return { config, plan, lock };
}

/**
 * A preview compares with the state and needs no host. It warns when this machine cannot reach it. Returns whether it
 * did.
 */
function reachHost(projectDir: string, { stack, host }: StackConfig, then: () => void): boolean {
  try {
    connectHost(projectDir, { stack, host });
  } catch (error) {
    if (!pulumi.runtime.isDryRun() || !(error instanceof UserError)) throw error;
    pulumi.log.warn(`Preview without the host: ${error.message}`);
    standInForEngine(projectDir, stack);
    return false;
  }
  then();
  return true;
}

/** Pulumi shows a RunError without a stack trace, because these are mistakes in a config, not in the program. */
export function withoutStackTrace<Made>(make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof UserError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
