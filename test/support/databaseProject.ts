import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BoxPlan } from "../../configs/kit/types";
import { packageDir } from "../../platform/project";
import { planStack } from "../../platform/stack/planStack";
import { recipeReference } from "../../platform/stack/recipes";
import { readResolved } from "../../platform/stack/resolved";
import { gatewaySql, litellmSql, startPostgres } from "./postgres";
import { makeProject, removeProject, type TestProject } from "./project";
import { testSecrets } from "./stacks";

/** A project whose box is its Postgres alone, with LiteLLM's schema. */
export interface DatabaseProject extends TestProject {
  plan: BoxPlan;
  secrets: Record<string, string>;
}

/** Makes it, with secrets in the file that a box without a Pulumi engine has. */
export async function makeDatabaseProject(
  stack: string,
  port: number,
  config: Record<string, unknown>,
  more: Record<string, string> = {},
): Promise<DatabaseProject> {
  const project = makeProject(stack, port, { database: { mode: "bundled" }, ...config });
  const secrets = { ...testSecrets, ...more };
  const root = join(project.dir, ".gpubox");
  mkdirSync(root, { mode: 0o700 });
  writeFileSync(join(root, `secrets.${stack}.json`), JSON.stringify(secrets), { mode: 0o600 });
  const roles = ["gateway", "edge", "cache", "database", "llamacpp"] as const;
  const images = roles.map((role) => {
    return [role, { reference: recipeReference(packageDir, role), source: "recipe" }];
  });
  const resolved = { images: Object.fromEntries(images), offlineModels: [], knownModels: ["tiny"] };
  writeFileSync(join(root, `resolved.${stack}.json`), JSON.stringify(resolved));
  const plan = planStack(project.dir, stack, secrets, readResolved(project.dir, stack));
  try {
    await startPostgres(plan, secrets);
    await gatewaySql(plan, await litellmSql(plan.gateway.container.image));
  } catch (error) {
    // Nobody else can: the caller has no project yet, and its second try would find what is left of this one.
    removeProject(project);
    throw error;
  }
  return { ...project, plan, secrets };
}
