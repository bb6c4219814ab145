import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { backupJobSchema } from "../../configs/plan/backup";
import { backUp } from "../../operations/backup/backup";
import { factsOf, type Manifest } from "../../operations/backup/manifest";
import { rehearse } from "../../operations/backup/rehearse";
import { restoreBackup } from "../../operations/backup/restore";
import { SIGNATURE, signatureOf } from "../../operations/backup/signature";
import { keptBackups, withBackup } from "../../operations/backup/store";
import { run } from "../../platform/process";
import { allocate, scratch } from "../support/allocate";
import { type DatabaseProject, makeDatabaseProject } from "../support/databaseProject";
import { commandLines, leaksIn } from "../support/leaks";
import { has, needs, testNeeds } from "../support/needs";
import { gatewaySql } from "../support/postgres";
import { gpubox, removeProject } from "../support/project";
import { atTerminal } from "../support/terminal";

jest.setTimeout(120_000);

const { stack: STACK, port: PORT } = allocate("bak");

const hasRestic = has("restic");
const withRestic = testNeeds("restic");

const RESTIC_PASSWORD = "PLANTED-restic-'\"\\$x y";

/** Rows with what survives a dump badly: text that needs quoting, JSON, arrays, times, nulls, many rows. */
const ROWS = `INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, max_budget, spend, metadata) VALUES ('t', 'it''s \\ "a" team', 12.5, 0.1, '{"gpubox": {"stack": "bak"}}');
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, spend, models, expires) VALUES ('f00d', 'alice', 0.1 + 0.2, '{a,"b c"}', now()), ('beef', NULL, 0, '{}', NULL);
INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, spend, "startTime", "endTime", metadata)
  SELECT n::text, 'acompletion', n / 3.0, now(), now(), jsonb_build_object('n', n) FROM generate_series(1, 2000) n;`;

const DATABASES = "SELECT datname FROM pg_database WHERE datname LIKE 'litellm%'";

const jobOf = ({ plan, secrets }: DatabaseProject) =>
  backupJobSchema.parse(JSON.parse(renderText(plan.backup!.stdin!, secrets)));

needs("docker")("a stack's backups", () => {
  let project: DatabaseProject;
  let repository: string;
  let directory: string;
  /** What `gpubox backup --to` is about, without a process for each. */
  const inDirectory = () => ({
    projectDir: project.dir,
    job: { ...jobOf(project), restic: undefined, directory },
  });
  const asConfigured = () => ({ projectDir: project.dir, job: jobOf(project) });
  const quiet = () => {};
  const restored = (from: string, trust = {}) =>
    withBackup(asConfigured(), from, trust, (backup) => restoreBackup(jobOf(project), backup, quiet));
  const rehearsed = (from: string, trust = {}) =>
    withBackup(asConfigured(), from, trust, (backup) =>
      rehearse(project.plan.docker, project.plan.database!.container.image, backup, quiet),
    );
  const count = (table: string) => gatewaySql(project.plan, `SELECT count(*) FROM "${table}"`);
  const backups = () => readdirSync(directory).sort();
  const failed = (what: string) => ({ code: 1, stderr: expect.stringContaining(what) });
  const rehearsals = async () =>
    (await run("docker", ["ps", "-aq", "--filter", `name=gpubox-${STACK}-rehearsal`])).stdout;

  beforeAll(async () => {
    repository = scratch("restic");
    directory = scratch("backups");
    project = await makeDatabaseProject(
      STACK,
      PORT,
      {
        backup: {
          directory,
          keep: 3,
          ...(hasRestic
            ? { restic: { repository: join(repository, "box"), password: { secret: "resticPassword" } } }
            : {}),
        },
      },
      { resticPassword: RESTIC_PASSWORD },
    );
    await gatewaySql(project.plan, ROWS);
  });
  afterAll(() => {
    removeProject(project);
    rmSync(repository, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  });

  test("hold the database, the config and the salt key's fingerprint, and nobody else can read them", async () => {
    const { code, stdout } = await gpubox(project, "backup", "--to", directory, "--rehearse");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /backed up to .*\n {2}rehearsed: \d+ tables with 2003 rows, each as it was\n$/,
      ),
    });
    const [name] = backups();
    expect(name).toMatch(new RegExp(`^${STACK}-\\d{8}T\\d{6}Z$`));
    expect(statSync(join(directory, name!)).mode & 0o777).toBe(0o700);
    const manifest = JSON.parse(readFileSync(join(directory, name!, "manifest.json"), "utf8"));
    expect(manifest).toMatchObject({
      stack: STACK,
      reason: "by hand",
      postgres: expect.stringMatching(/^17/),
    });
    expect(manifest.tables["public.LiteLLM_SpendLogs"].rows).toBe(2000);
    const config = readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8");
    expect(readFileSync(join(directory, name!, "stack.yaml"), "utf8")).toBe(config);
    expect(await rehearsals()).toBe("");
  });

  test("bring everything back after a reset, compared table by table", async () => {
    const before = await gatewaySql(project.plan, 'SELECT * FROM "LiteLLM_VerificationToken" ORDER BY token');
    const reset = await gpubox(project, "database", "reset", "--yes", "--confirm", STACK);
    expect({ code: reset.code, stderr: reset.stderr }).toEqual({ code: 0, stderr: "" });
    const tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    expect(await gatewaySql(project.plan, tables)).toBe("0");
    const { code, stdout } = await gpubox(
      project,
      "restore",
      "--yes",
      "--from",
      join(directory, backups()[0]!),
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("each as it was") });
    expect(await gatewaySql(project.plan, 'SELECT * FROM "LiteLLM_VerificationToken" ORDER BY token')).toBe(
      before,
    );
    expect(await count("LiteLLM_SpendLogs")).toBe("2000");
    const owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'";
    expect(await gatewaySql(project.plan, owners)).toBe("litellm");
    expect(
      await gatewaySql(project.plan, "SELECT datname FROM pg_database WHERE datname LIKE 'litellm%'"),
    ).toBe("litellm");
  });

  test("are made before a reset, which needs the stack's name in addition to --yes and asks a person twice", async () => {
    const kept = await keptBackups(inDirectory());
    const alone = await gpubox(project, "database", "reset", "--yes");
    expect(alone).toMatchObject(failed("Deleting a database needs its stack's name."));
    const typed = (answers: [string, string][]) => {
      const command = ["npx", "--no-install", "gpubox", "database", "reset", "--stack", STACK];
      return atTerminal(command, answers, { cwd: project.dir, env: project.env });
    };
    const once: [string, string][] = [
      ["Type the stack's name:", STACK],
      ["Type reset:", "no"],
    ];
    expect((await typed(once)).stdout).toContain('"reset" was not typed.');
    expect(await count("LiteLLM_SpendLogs")).toBe("2000");
    const twice: [string, string][] = [
      ["Type the stack's name:", STACK],
      ["Type reset:", "reset"],
    ];
    expect((await typed(twice)).stdout).toContain("the database is empty");
    const [newest] = await keptBackups(asConfigured());
    expect(newest!.madeAt > kept[0]!.madeAt).toBe(true);
    await restored(newest!.name);
    expect(await count("LiteLLM_SpendLogs")).toBe("2000");
  });

  describe("that are damaged", () => {
    let damaged: string;
    beforeEach(() => {
      damaged = join(scratch("damaged"), "copy");
      cpSync(join(directory, backups()[0]!), damaged, { recursive: true });
    });
    afterEach(() => rmSync(join(damaged, ".."), { recursive: true }));

    /** As if the copy had been written so, by whoever has the salt key. */
    const rewrite = (edit: (manifest: Manifest) => void) => {
      const path = join(damaged, "manifest.json");
      const manifest = JSON.parse(readFileSync(path, "utf8"));
      edit(manifest);
      writeFileSync(path, JSON.stringify(manifest));
      const signature = signatureOf(readFileSync(path), jobOf(project).signingKey);
      writeFileSync(join(damaged, SIGNATURE), signature);
    };
    const refused = async (what: string) => {
      await Promise.all([rehearsed, restored].map((act) => expect(act(damaged)).rejects.toThrow(what)));
      expect(await rehearsals()).toBe("");
      expect(await count("LiteLLM_SpendLogs")).toBe("2000");
      expect(await gatewaySql(project.plan, DATABASES)).toBe("litellm");
    };

    test("in their dump are refused, by rehearsal and restore alike", async () => {
      truncateSync(join(damaged, "database.dump"), 5000);
      await refused("is damaged: its content changed");
    });

    test("from the start, so that their sums match a dump that cannot be restored, change nothing", async () => {
      const dump = join(damaged, "database.dump");
      truncateSync(dump, statSync(dump).size - 3000);
      const facts = await factsOf(dump);
      rewrite(({ files }) => Object.assign(files, { "database.dump": facts }));
      await refused("The dump cannot be restored");
    });

    test("in their manifest are refused, and so are those that lost their signature", async () => {
      const path = join(damaged, "manifest.json");
      writeFileSync(path, readFileSync(path, "utf8").replace("by hand", "by hAnd"));
      await refused("its signature is wrong");
      await expect(restored(damaged, { unsigned: true })).rejects.toThrow("its signature is wrong");
      rmSync(join(damaged, SIGNATURE));
      await refused("is not signed");
    });

    test("in a row that a restore would not notice are found by comparing", async () => {
      rewrite(({ tables }) => {
        tables["public.LiteLLM_SpendLogs"]!.rows = 2001;
        tables["public.LiteLLM_TeamTable"]!.sum = "1";
      });
      await refused(
        "The restored database differs from the backup: public.LiteLLM_SpendLogs has 2000 rows instead of 2001; " +
          "public.LiteLLM_TeamTable has other rows, but as many.",
      );
    });

    test("or were made with another salt key are refused by a restore before anything is asked", async () => {
      rewrite((manifest) => Object.assign(manifest, { saltFingerprint: "0123456789abcdef" }));
      expect(await gpubox(project, "restore", "--from", damaged)).toMatchObject(
        failed("The backup was made with another salt key"),
      );
    });
  });

  test("are removed by age: no more than `keep` stay", async () => {
    for (let n = 0; n < 3; n++) await backUp(inDirectory(), "a test", quiet);
    expect(backups()).toHaveLength(3);
    expect(readdirSync(directory).filter((name) => name.startsWith("."))).toEqual([]);
  });

  withRestic("go into a restic repository, whose password nobody sees, and come back from it", async () => {
    let seen = "";
    const watch = setInterval(() => {
      seen += commandLines();
    }, 100);
    const { code, stdout, stderr } = await gpubox(project, "backup", "--restic");
    clearInterval(watch);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(seen).toContain("restic");
    expect(leaksIn("command lines and output", seen + stdout, { RESTIC_PASSWORD })).toEqual([]);
    expect(existsSync(join(repository, "box", "config"))).toBe(true);
    // Two came from the resets: these are four.
    await backUp(asConfigured(), "a test", quiet);
    const list = await keptBackups(asConfigured());
    expect(list).toHaveLength(3);
    await gatewaySql(project.plan, 'DELETE FROM "LiteLLM_SpendLogs"');
    await restored(list[1]!.name);
    expect(await count("LiteLLM_SpendLogs")).toBe("2000");
    const staged = join(project.dir, ".gpubox/staging");
    expect(existsSync(staged) ? readdirSync(staged) : []).toEqual([]);
  });

  withRestic("say what is wrong with a repository", async () => {
    const wrong = { ...jobOf(project).restic!, password: "another" };
    const store = { ...asConfigured(), job: { ...jobOf(project), restic: wrong } };
    await expect(backUp(store, "a test", quiet)).rejects.toThrow(
      /^restic cannot open .*wrong password or no key found.* Set the repository's password/,
    );
  });

  test("are recorded for the monitors, and do not fail without them", async () => {
    const told = join(directory, "told");
    const heard = async (tell: string) => {
      const lines: string[] = [];
      const { projectDir, job } = inDirectory();
      expect(
        await backUp({ projectDir, job: { ...job, tell } }, "a test", (line) => lines.push(line)),
      ).toBeDefined();
      return lines.filter((line) => line.includes("monitors"));
    };
    expect(await heard(`printf %s "$DOCKER_HOST" > ${told}`)).toEqual([]);
    expect(readFileSync(told, "utf8")).toBe(jobOf(project).docker);
    rmSync(told);
    expect(await heard("echo no such disk >&2; exit 1")).toEqual([
      "  the monitors could not record it: no such disk",
    ]);
  });

  test("are made by the step of `up` too, from its job alone, but not for an empty database", async () => {
    const step = project.plan.backup!;
    const job = JSON.parse(renderText(step.stdin!, project.secrets));
    delete job.restic;
    const up = () =>
      run("sh", ["-c", step.script], { cwd: project.dir, env: project.env, stdin: JSON.stringify(job) });
    const before = backups();
    expect(await up()).toMatchObject({ code: 0, stderr: "" });
    const newest = backups().find((name) => !before.includes(name));
    expect(readFileSync(join(directory, newest!, "manifest.json"), "utf8")).toContain(
      "before the gateway's new image",
    );
    await gatewaySql(project.plan, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    const after = backups();
    const said: string[] = [];
    await backUp(inDirectory(), "a test", (line) => said.push(line));
    expect(said).toEqual(["  the database is empty: no backup is needed"]);
    expect(backups()).toEqual(after);
  });

  test("are refused with advice when the database is not running", async () => {
    await run("docker", ["stop", `gpubox-${STACK}-database`]);
    await expect(backUp(inDirectory(), "a test", quiet)).rejects.toThrow(
      `The database is not running: there is no container gpubox-${STACK}-database. Run \`gpubox up\` first.`,
    );
  });

  test("are made, restored and reset by commands that say how", async () => {
    const verbs = ["backup", "restore", "database"];
    const said = await Promise.all(verbs.map((name) => gpubox(project, name, "--help")));
    expect(said.map(({ code, stdout }) => [code, stdout.split(" ").slice(0, 3).join(" ")])).toEqual(
      verbs.map((name) => [0, `Usage: gpubox ${name}`]),
    );
  });
});
