import "./runner/stackTraces";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { Box } from "./components/Box";
import { recordGeneration } from "./components/Record";
import { ownerOf } from "./configs/host/owner";
import { withoutLeftOut } from "./configs/optionalModels";
import { parseStack } from "./configs/parse";
import { announcements } from "./configs/plan/announce";
import { planBox } from "./configs/plan/box";
import { policyWords } from "./configs/policy/judge";
import { portsOf } from "./configs/preview/belongings";
import { gpuWords } from "./configs/preview/gpus";
import { portText } from "./configs/preview/inputs";
import { ConfigError } from "./configs/problems";
import type { StackConfig } from "./configs/schema/stack";
import { saltFingerprint } from "./configs/secretFacts";
import { loadAssets } from "./runner/assets";
import { readDeployed } from "./runner/history";
import { checkJoined } from "./runner/host/joined";
import { checkPlace } from "./runner/host/owner";
import { readModelLock } from "./runner/models/lockFile";
import { UserError } from "./runner/process";
import { readPulumiConfig } from "./runner/pulumiConfig";
import { readResolved } from "./runner/resolved";
import { standInForEngine } from "./runner/ssh/absentEngine";
import { connectHost } from "./runner/ssh/connection";
import { beginUp, endUp, unfinishedUp, unfinishedWords } from "./runner/unfinished";

const hostId = z.string();

function box() {
  const { raw, secrets } = readPulumiConfig(__dirname);
  const lock = readModelLock(__dirname);
  const config = parseStack({ ...raw, lock });
  const fingerprint = saltFingerprint(secrets.saltKey ?? "");
  reachHost(config, () => {
    checkPlace(config, ownerOf(config.stack, fingerprint), hostId.safeParse(raw.values.hostId).data);
    checkJoined(config);
  });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: fingerprint,
    resolved: readResolved(__dirname, raw.stack),
    assets: loadAssets(),
  });
  const unfinished = unfinishedUp(__dirname, plan.stack);
  if (unfinished) pulumi.log.warn(unfinishedWords(unfinished));
  for (const sentence of announcements(readDeployed(__dirname, plan.stack), plan)) pulumi.log.warn(sentence);
  for (const sentence of policyWords(plan.policy)) pulumi.log.warn(sentence);
  const changes = !pulumi.runtime.isDryRun();
  if (changes) beginUp(__dirname, plan.stack);
  const box = new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) });
  const record = recordGeneration(plan, box, { values: raw.values, boxes: raw.boxFiles });
  // Known when the record is written, or needs not be: that is after everything else.
  if (changes) record.id.apply(() => endUp(__dirname, plan.stack));
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

/** A preview is of the state and needs no host: on a runner that cannot reach it, it says so. */
function reachHost({ stack, host }: StackConfig, then: () => void): void {
  try {
    connectHost(__dirname, { stack, host });
  } catch (error) {
    if (!pulumi.runtime.isDryRun() || !(error instanceof UserError)) throw error;
    pulumi.log.warn(`Preview without the host: ${error.message}`);
    standInForEngine(__dirname, stack);
    return;
  }
  then();
}

function boxOrMessage() {
  try {
    return box();
  } catch (error) {
    // A RunError is shown without a stack trace: these are mistakes of a config, not of this program.
    if (error instanceof ConfigError || error instanceof UserError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

export const { endpoint, adminEndpoint, models, gpus, ports, policy, notes } = boxOrMessage();
