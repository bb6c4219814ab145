import type { BoxPlan } from "../../configs/kit/types";
import { DATABASE_ROLE } from "../../configs/plan/kubernetes/roles";
import type { ReadableDatabase } from "../../platform/box/database";
import { UserError } from "../../platform/process";
import { openStack } from "../../platform/stack/openStack";
import type { Secrets } from "../../platform/stack/secrets";
import { clusterAt, kubectlWords } from "../kubernetes/ask";
import { databaseOf } from "./stackDatabase";

/** A stack whose database can be asked, on its host or in its namespace. */
export interface OpenDatabase {
  plan: BoxPlan;
  secrets: Secrets;
  at: ReadableDatabase;
}

/**
 * Opens a stack's database for questions.
 *
 * @throws UserError when the stack has none of its own
 */
export async function readDatabase(projectDir: string, stack: string): Promise<OpenDatabase> {
  const { plan, secrets } = await openStack(stack, projectDir);
  if (!plan.cluster) return { plan, secrets, at: databaseOf(plan, secrets).job };
  if (!plan.database)
    throw new UserError(
      `The stack ${stack} has no database in its namespace.`,
      "Query an external database where it runs. With `mode: none` there is no database.",
    );
  const cluster = clusterAt(plan);
  const workload = `statefulset/${DATABASE_ROLE}`;
  return {
    ...{ plan, secrets },
    at: { cluster, workload, look: `${kubectlWords(cluster)} get ${workload}` },
  };
}
