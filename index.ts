import "./runner/stackTraces";
import * as pulumi from "@pulumi/pulumi";
import { Box } from "./components/Box";
import { recordGeneration } from "./components/Record";
import { withoutLeftOut } from "./configs/optionalModels";
import { parseStack } from "./configs/parse";
import { announcements } from "./configs/plan/announce";
import { planBox } from "./configs/plan/box";
import { policyWords } from "./configs/policy/judge";
import { portsOf } from "./configs/preview/belongings";
import { gpuWords } from "./configs/preview/gpus";
import { portText } from "./configs/preview/inputs";
import { ConfigError } from "./configs/problems";
import { saltFingerprint } from "./configs/secretFacts";
import { loadAssets } from "./runner/assets";
import { readDeployed } from "./runner/history";
import { readModelLock } from "./runner/models/lockFile";
import { UserError } from "./runner/process";
import { readPulumiConfig } from "./runner/pulumiConfig";
import { readResolved } from "./runner/resolved";

function box() {
  const { raw, secrets } = readPulumiConfig();
  const lock = readModelLock(__dirname);
  const config = parseStack({ ...raw, lock });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved: readResolved(__dirname, raw.stack),
    assets: loadAssets(__dirname),
  });
  for (const sentence of announcements(readDeployed(__dirname, plan.stack), plan)) pulumi.log.warn(sentence);
  for (const sentence of policyWords(plan.policy)) pulumi.log.warn(sentence);
  const box = new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) });
  recordGeneration(plan, box, raw.values);
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
