import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { renderText } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { commandLines } from "../support/leaks";
import { needs } from "../support/needs";
import { ALTERED, alteredGateway, gatewaySql, startPostgres, writeFiles } from "../support/postgres";
import { recipes, testPlan, testSecrets, tinyModel } from "../support/stacks";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, dataDir: DATA_DIR } = allocate("keysmig");
/** Another image of the gateway. */
const tagOf = (kind: keyof typeof ALTERED) => `gpubox-test/${STACK}:${kind.toLowerCase()}`;

const TABLES =
  "select count(*) from information_schema.tables where table_schema = 'public' and table_name like 'LiteLLM%'";

needs("docker")("the migration job", () => {
  let plan: BoxPlan;
  const image = (role: "gateway" | "edge" | "cache" | "database" | "llamacpp") =>
    recipeReference(packageDir, role);

  /** A plan whose gateway has this image. */
  function planned(gateway: string): BoxPlan {
    const resolved = {
      ...recipes,
      images: {
        ...recipes.images,
        gateway: { reference: gateway, source: "recipe" as const },
        edge: { reference: image("edge"), source: "recipe" as const },
        database: { reference: image("database"), source: "recipe" as const },
      },
    };
    return testPlan(
      { host: { dataDir: DATA_DIR }, models: tinyModel },
      testSecrets,
      resolved,
      undefined,
      STACK,
    );
  }

  /** The job's script, as Pulumi and Compose run it. */
  async function migrate(of: BoxPlan) {
    await writeFiles(of, of.gateway, testSecrets);
    const job = of.gateway.before.find(({ name }) => name === "migrate");
    return run("sh", ["-c", job!.script]);
  }

  const asAdmin = (program: string, ...words: string[]) => {
    const script = 'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" exec "$@"';
    const connection = ["-h", "/tmp", "-U", "postgres", "litellm"];
    const args = ["exec", `${plan.prefix}-database`, "sh", "-c", script, "sh", program, ...connection];
    return output("docker", [...args, ...words]);
  };
  /** Without a key that pg_dump makes anew for psql each time. */
  const dump = async (...words: string[]) =>
    (await asAdmin("pg_dump", ...words)).replaceAll(/^\\(un)?restrict .*$/gm, "");
  /** The whole schema, and Prisma's ledger without what differs from run to run. */
  const madeOf = async () => ({
    schema: await dump("--schema-only"),
    rows: await dump("--data-only", "--inserts", "--exclude-table=_prisma_migrations"),
    ledger: await gatewaySql(
      plan,
      `SELECT migration_name, checksum, applied_steps_count, logs, rolled_back_at, finished_at >= started_at
        FROM _prisma_migrations ORDER BY 1`,
    ),
  });
  const empty = () =>
    asAdmin(
      "psql",
      "-qc",
      "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    );

  beforeAll(async () => {
    plan = planned(image("gateway"));
    for (const [kind, script] of Object.entries(ALTERED))
      await alteredGateway(tagOf(kind as keyof typeof ALTERED), script);
    await startPostgres(plan, testSecrets);
  }, 5 * MINUTE);

  afterAll(async () => {
    await run("docker", ["rm", "-f", `${plan.prefix}-database`, `${plan.prefix}-migration`]);
    await run("docker", ["volume", "rm", "-f", `${plan.prefix}-database`]);
    for (const { name } of plan.networks) await run("docker", ["network", "rm", name]);
    for (const kind of Object.keys(ALTERED))
      await run("docker", ["image", "rm", tagOf(kind as keyof typeof ALTERED)]);
    rmSync(DATA_DIR, { recursive: true, force: true });
  });

  test(
    "fails with LiteLLM's reason where the image has no Prisma, shows no password, and leaves the database as it was",
    async () => {
      const { code, stderr } = await migrate(planned(tagOf("withoutPrisma")));
      expect(code).toBe(1);
      expect(stderr).toContain(
        "The migration of the database failed, so the new gateway does not start; one that served before goes on.",
      );
      expect(stderr).toContain("the prisma CLI is neither on PATH nor importable");
      expect(stderr).not.toContain("PLANTED");
      expect(await gatewaySql(plan, TABLES)).toBe("0");
    },
    3 * MINUTE,
  );

  test(
    "makes of an empty database exactly what LiteLLM's own migrations make, as the gateway's role, says so, ends, and leaves no container",
    async () => {
      // Both begin with a schema that was made anew: it has other rights than that of a new database.
      await empty();
      expect((await migrate(planned(tagOf("withoutSchema")))).code).toBe(0);
      const byLitellm = await madeOf();
      expect(Number(await gatewaySql(plan, TABLES))).toBeGreaterThan(50);
      await empty();
      const { code, stdout, stderr } = await migrate(plan);
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `the database has the schema of ${image("gateway")}\n`,
        stderr: "",
      });
      expect(await madeOf()).toEqual(byLitellm);
      const owners = "select distinct tableowner from pg_tables where schemaname = 'public'";
      expect(await gatewaySql(plan, owners)).toBe("litellm");
      expect((await run("docker", ["ps", "-aq", "--filter", `name=gpubox-${STACK}-migration`])).stdout).toBe(
        "",
      );
    },
    5 * MINUTE,
  );

  test(
    "a migration that Postgres refuses in its middle leaves nothing behind, and runs again once it can; an older image then tells that it is older",
    async () => {
      const newer = planned(tagOf("newer"));
      const refused = await migrate(newer);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('relation "needed" does not exist');
      expect(await gatewaySql(plan, "SELECT to_regclass('later') IS NULL")).toBe("t");
      await gatewaySql(plan, "CREATE TABLE needed ()");
      expect(await migrate(newer)).toMatchObject({ code: 0, stderr: "" });
      expect(await gatewaySql(plan, "SELECT to_regclass('later') IS NULL")).toBe("f");
      expect(await migrate(plan)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(
          /^note: The database is newer than this gateway: LiteLLM here does not know its migration 20990101000000_later\. .+\nthe database has the schema of /,
        ),
      });
    },
    5 * MINUTE,
  );

  test(
    "a second run waits for a job that an interrupted `up` left behind, and then changes nothing",
    async () => {
      const ledger = "select count(*), max(finished_at) from _prisma_migrations";
      const before = await gatewaySql(plan, ledger);
      const left = [
        "run",
        "-d",
        "--name",
        `${plan.prefix}-migration`,
        "--entrypoint",
        "sleep",
        image("gateway"),
        "infinity",
      ];
      await output("docker", left);
      const job = migrate(plan);
      const running = async () => (await run("docker", ["ps", "--format", "{{.Names}}"])).stdout;
      await until("it waits", () => commandLines().includes(`docker\0wait\0${plan.prefix}-migration`));
      expect(await running()).toContain(`${plan.prefix}-migration`);
      spawnSync("docker", ["kill", `${plan.prefix}-migration`]);
      expect((await job).code).toBe(0);
      expect(await gatewaySql(plan, ledger)).toBe(before);
    },
    5 * MINUTE,
  );

  test(
    "the gateway's URL opens the database as its role, and only from its own network",
    async () => {
      const url = renderText(plan.gateway.directory.files["gateway.env"]!.text, testSecrets);
      const word = /^DATABASE_URL='(.*)'$/m.exec(url)?.[1];
      const ask =
        "import os, psycopg; print(psycopg.connect(os.environ['URL'], connect_timeout=5).execute('select current_user').fetchone()[0])";
      const from = async (network: string) => {
        const args = [
          "run",
          "--rm",
          "--network",
          network,
          "--env",
          "URL",
          "--entrypoint",
          "python3",
          image("gateway"),
        ];
        const { code, stdout, stderr } = await run("docker", [...args, "-c", ask], { env: { URL: word } });
        return code === 0 ? stdout.trim() : stderr.trim().split("\n").at(-1);
      };
      const roles = ["data", "edge", "models", "backends"];
      const seen = await Promise.all(roles.map((role) => from(`${plan.prefix}-${role}`)));
      expect(seen[0]).toBe("litellm");
      for (const said of seen.slice(1)) expect(said).toContain("failed to resolve host 'database'");
      const { stdout } = await run("docker", [
        ...["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"],
        `${plan.prefix}-database`,
      ]);
      const byAddress = word!.replace("@database:", `@${stdout.trim()}:`);
      const asked = [
        "run",
        "--rm",
        "--network",
        `${plan.prefix}-models`,
        "--env",
        "URL",
        "--entrypoint",
        "python3",
      ];
      const { stderr } = await run("docker", [...asked, image("gateway"), "-c", ask], {
        env: { URL: byAddress },
      });
      expect(stderr).toMatch(/timeout expired|Network is unreachable|connection timeout/i);
    },
    5 * MINUTE,
  );
});
