import type { ServicePlan } from "../../configs/kit/containerPlan";
import { directoryInput, makeWritable, writeDirectory } from "../../configs/kit/hostFiles";
import type { SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { adminSql } from "../../platform/box/database";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { until } from "./wait";

/** Brings the networks and Postgres of a plan up, as the box has them, and nothing else of the box. */
export async function startPostgres(plan: BoxPlan, secrets: SecretValues): Promise<void> {
  const { database } = plan;
  if (!database) throw new Error("the plan has no database");
  for (const { name, internal } of plan.networks) {
    const label = ["--label", `gpubox.stack=${plan.stack}`];
    await output("docker", ["network", "create", ...label, ...(internal ? ["--internal"] : []), name]);
  }
  await writeFiles(plan, database, secrets);
  const { container } = database;
  await output("docker", [
    ...["run", "-d", "--name", `${plan.prefix}-${container.name}`, "--user", container.user, "--read-only"],
    ...Object.entries(container.labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
    ...Object.entries(container.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...["--network", `${plan.prefix}-data`, "--network-alias", "database", "--cap-drop", "ALL"],
    ...Object.entries(container.tmpfs).flatMap(([path, options]) => ["--tmpfs", `${path}:${options}`]),
    ...container.mounts.flatMap((m) => ["-v", `${m.source}:${m.target}:${m.readOnly ? "ro" : "rw"}`]),
    ...["--stop-signal", "SIGINT", "--entrypoint", container.entrypoint[0]!, container.image],
    ...container.command,
  ]);
  const [kind, ...ready] = container.health.test;
  if (kind !== "CMD") throw new Error(`a check of another kind: ${kind}`);
  const ask = () => run("docker", ["exec", `${plan.prefix}-database`, ...ready]);
  const answers = async () => (await ask()).code === 0;
  await until("Postgres is ready", answers, { everyMs: 250 }).catch(async () => {
    throw new Error((await run("docker", ["logs", `${plan.prefix}-database`])).stderr);
  });
  // Suites make tables and databases by the hundred, and none of them has to outlive a power cut.
  const at = { docker: plan.docker, container: `${plan.prefix}-database` };
  await adminSql(at, "ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()");
}

/** The directories and files of a service, on the host. */
export async function writeFiles(
  plan: BoxPlan,
  { directory, writable }: ServicePlan,
  secrets: SecretValues,
): Promise<void> {
  const image = plan.edge.container.image;
  for (const one of writable) await output("sh", ["-c", makeWritable(image, plan.dataDir, one)]);
  await output("sh", ["-c", writeDirectory(image, plan.dataDir, directory)], {
    stdin: directoryInput(directory, secrets),
  });
}

const PACKAGES = "/app/.venv/lib/python3.13/site-packages";

/** Shell scripts that make another image of the gateway's recipe, see {@link alteredGateway}. */
export const ALTERED = {
  /** A migration fails before it reaches the database. */
  withoutPrisma: `rm -r /app/database-schema.sql /app/.venv/bin/prisma ${PACKAGES}/prisma`,
  /** An empty database is migrated by LiteLLM, as with the official image. */
  withoutSchema: "rm /app/database-schema.sql",
  /** A newer LiteLLM, whose migration Postgres refuses in its middle unless there is a table `needed`. */
  newer: `cd ${PACKAGES}/litellm_proxy_extras/migrations && mkdir 20990101000000_later &&
    echo 'CREATE TABLE later (n int); ALTER TABLE needed ADD COLUMN later int;' >20990101000000_later/migration.sql`,
};

/** Tags an image that a script of root's makes of the gateway's recipe. */
export async function alteredGateway(tag: string, script: string): Promise<void> {
  const run = JSON.stringify(["sh", "-ec", script]);
  await output("docker", ["build", "-q", "--network", "none", "-t", tag, "-"], {
    stdin: `FROM ${recipeReference(packageDir, "gateway")}\nUSER 0\nRUN ${run}\nUSER 65534:65534\n`,
    env: { DOCKER_BUILDKIT: "0" },
  });
}

/** LiteLLM's own migrations, in order, from the package in the gateway's image. */
export async function litellmSql(image: string): Promise<string> {
  const cat =
    "cat $(python3 -c 'import litellm_proxy_extras as e; print(e.__path__[0])')/migrations/*/migration.sql";
  return output("docker", ["run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", cat]);
}

/** Runs SQL as the gateway's role, over TCP with its password. Returns unaligned rows. */
export async function gatewaySql({ prefix }: Pick<BoxPlan, "prefix">, text: string): Promise<string> {
  const script =
    'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" PGPASSWORD="$(cat /etc/gpubox/password)" ' +
    "psql -h 127.0.0.1 -U litellm -d litellm -v ON_ERROR_STOP=1 -qtA";
  return output("docker", ["exec", "-i", `${prefix}-database`, "sh", "-c", script], { stdin: text });
}
