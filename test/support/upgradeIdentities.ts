import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { recordGeneration } from "../../components/Record";
import { servicesOf } from "../../configs/plan/box";
import { type Identities, identitiesOf } from "./identities";
import { planOf } from "./jobPlans";
import { type Registered, registered } from "./mocks";
import { testPlan } from "./stacks";
import { upgradeImages, upgradeJob, upgradeLock, upgradeSecrets, upgradeStacks } from "./upgradeStacks";

/** A box of one of the stacks: its identities, and the resources with their aliases. */
export async function boxIdentities(stack: string): Promise<{ all: Registered[]; identities: Identities }> {
  const plan = testPlan(upgradeStacks[stack], upgradeSecrets, upgradeImages, upgradeLock);
  const secrets = pulumi.secret(upgradeSecrets);
  const all = await registered(() => {
    const box = new Box(plan.prefix, { plan, secrets });
    return recordGeneration(plan, box, { values: upgradeStacks[stack]!, boxes: {} });
  });
  return { all, identities: identitiesOf(all, servicesOf(plan)) };
}

/** The names of a job's parts, which no Pulumi resource stands for. */
export function jobIdentities(): Omit<Identities, "resources" | "volumes"> {
  const plan = planOf(upgradeJob);
  return {
    containers: [plan.containerName, plan.edge.containerName],
    networks: plan.networks,
    paths: Object.keys(plan.files)
      .map((file) => `${plan.folder}/${file}`)
      .sort(),
  };
}
