import { rmSync } from "node:fs";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { backupJobSchema } from "../../configs/plan/backup";
import { backUp } from "../../operations/backup/backup";
import { FOREIGN_OBJECTS } from "../../operations/backup/contents";
import { DUMP } from "../../operations/backup/manifest";
import { restoreNext } from "../../operations/backup/restore";
import { RESTORER, restoreDump } from "../../operations/backup/restoreRole";
import { withBackup } from "../../operations/backup/store";
import { adoptNext, dropNext, makeNext, NEXT } from "../../operations/backup/swap";
import { adminSql, hasNoTables } from "../../platform/box/database";
import { allocate, scratch } from "../support/allocate";
import { BAIT, dumpBait, insteadOfTable, makeBait, TABLE, unsignedBackup } from "../support/attackDumps";
import { CANARY, DENIED, MADE_BY_SUPERUSERS, REACHING, STAYING } from "../support/attacks";
import { type DatabaseProject, makeDatabaseProject } from "../support/databaseProject";
import { needs } from "../support/needs";
import { gatewaySql } from "../support/postgres";
import { gpubox, removeProject } from "../support/project";

jest.setTimeout(120_000);

const { stack: STACK, port: PORT } = allocate("baka");

needs("docker")("an altered backup that somebody restores all the same", () => {
  let project: DatabaseProject;
  let root: string;
  const job = () =>
    backupJobSchema.parse(JSON.parse(renderText(project.plan.backup!.stdin!, project.secrets)));
  const store = () => ({ projectDir: project.dir, job: job(), directory: join(root, "kept") });
  const quiet = () => {};

  /** Restores as `--unsigned` does, up to the swap. It removes what the restore before it left. */
  const restored = (folder: string) =>
    withBackup(store(), folder, { unsigned: true }, (backup) => restoreNext(job(), backup));
  /** The dump of a database with that table, which attacks are put into. */
  let plain: Buffer;
  const asBackup = (dump: Buffer) => unsignedBackup(join(root, "attack"), STACK, dump, job().saltFingerprint);
  const altered = (sql: string) => asBackup(insteadOfTable(plain, sql));

  /** Roles with rights and passwords, memberships, databases with settings and owners, and what the gateway has. */
  const cluster = async () =>
    adminSql(
      job(),
      `SELECT * FROM pg_authid ORDER BY oid; SELECT * FROM pg_auth_members ORDER BY oid;
SELECT datname, datdba, datacl FROM pg_database WHERE datname <> '${BAIT}' ORDER BY oid;
SELECT * FROM pg_db_role_setting; SELECT name, setting FROM pg_settings WHERE source = 'configuration file' ORDER BY 1;
SELECT spcname FROM pg_tablespace; SELECT subname FROM pg_subscription;
\\! ls ${CANARY} 2>&1
\\connect litellm
SELECT count(*) FROM "LiteLLM_TeamTable";`,
    );
  let before: string;

  beforeAll(async () => {
    root = scratch("attacks");
    project = await makeDatabaseProject(STACK, PORT, {});
    await gatewaySql(project.plan, `INSERT INTO "LiteLLM_TeamTable" (team_id) VALUES ('t')`);
    await makeBait(job(), TABLE);
    plain = await dumpBait(job(), join(root, "plain"), "--schema-only");
    before = await cluster();
  });
  afterAll(() => {
    if (project) removeProject(project);
    rmSync(root, { recursive: true, force: true });
  });
  /** Declares the last test of a block. It looks once for all attacks before it: none undoes what another one did. */
  const leavesTheRest = () =>
    test("none of that changed a role, another database or a setting, wrote a file, or ran a program", async () => {
      await dropNext(job());
      expect(await cluster()).toBe(before);
    });

  describe("whose statements run as a role that can do nothing else:", () => {
    // Each attack is one entry, so one transaction: what it refuses leaves the database empty for the next one.
    beforeAll(() => makeNext(job()));
    test.each(REACHING)("%s is refused", async (sql) => {
      const folder = await altered(sql);
      await expect(restoreDump(job(), NEXT, join(folder, DUMP))).rejects.toThrow(DENIED);
    });

    test("nothing of them is in the database, and it belongs to the superuser as before", async () => {
      const found = `SELECT datdba::regrole FROM pg_database WHERE datname = '${NEXT}';
SELECT relname FROM pg_class WHERE oid >= 16384; ${FOREIGN_OBJECTS}`;
      expect(await adminSql(job(), found, NEXT)).toBe("postgres");
    });

    leavesTheRest();
  });

  describe("runs as a role that can do nothing else:", () => {
    test("an entry of a dump can be replaced by any statement, and a harmless one is run", async () => {
      const harmless = await altered("CREATE TABLE public.other (n int)");
      // That it ran shows in what is found: the manifest knows no table.
      await expect(restored(harmless)).rejects.toThrow("public.other is not in the backup");
    });

    test("a restore stops at the first statement that is refused", async () => {
      await expect(restored(await altered(REACHING[0]!))).rejects.toThrow(DENIED);
    });

    test.each(STAYING.map(([sql]) => sql))(
      "%s under the name of a table is found afterwards",
      async (sql) => {
        await expect(restored(await altered(sql))).rejects.toThrow(
          /The backup contains what LiteLLM's schema does not have: .* A restore brings back/,
        );
      },
    );

    test("it can use only its own database, and is dropped when the gateway's role owns what it wrote", async () => {
      await makeNext(job());
      const into = `SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('${RESTORER}', oid, 'CONNECT')`;
      const owned = `SELECT count(*) FROM pg_database WHERE datdba = '${RESTORER}'::regrole`;
      const can =
        "SELECT rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolpassword FROM pg_authid";
      expect(await adminSql(job(), `${into} AND datname <> '${BAIT}'; ${owned};`)).toBe(`${NEXT}\n0`);
      expect(await adminSql(job(), `${can} WHERE rolname = '${RESTORER}'`)).toBe("f\tf\tf\tf\tf\tf");
      await adoptNext(job());
      expect(await adminSql(job(), `SELECT count(*) FROM pg_roles WHERE rolname = '${RESTORER}'`)).toBe("0");
      await dropNext(job());
    });

    test("an endless statement is ended with its session, and the role cannot log in again", async () => {
      const folder = await altered("SELECT pg_sleep(3600)");
      await makeNext(job());
      await expect(restoreDump(job(), NEXT, join(folder, DUMP), 3)).rejects.toThrow("cannot be restored");
      const left = `SELECT count(*) FROM pg_stat_activity WHERE usename = '${RESTORER}'`;
      expect(await adminSql(job(), left)).toBe("0");
      const login = `SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = '${RESTORER}'`;
      expect(await adminSql(job(), login)).toBe("f\tt");
      await dropNext(job());
    });

    leavesTheRest();
  });

  describe("with something in its list that LiteLLM's schema does not have", () => {
    // Three words in each row: jest takes a parameter that no word is for as a callback to wait for.
    test.each(
      [...STAYING, ...MADE_BY_SUPERUSERS].map(
        ([sql, found, unseen]) => [sql, found, unseen ?? "seen"] as const,
      ),
    )(
      "%s is refused before any of it runs, or where the list does not tell, afterwards",
      async (sql, found, seen) => {
        expect(await makeBait(job(), sql, FOREIGN_OBJECTS)).toContain(found);
        const folder = await asBackup(await dumpBait(job(), join(root, "made")));
        await expect(restored(folder)).rejects.toThrow(
          "The backup contains what LiteLLM's schema does not have: ",
        );
        const there = await adminSql(job(), `SELECT count(*) FROM pg_database WHERE datname = '${NEXT}'`);
        expect(there).toBe(seen === "seen" ? "0" : "1");
        if (seen !== "seen") await dropNext(job());
      },
    );

    leavesTheRest();
  });

  test("is refused by the command without --unsigned, and with it says what that means", async () => {
    const folder = await asBackup(plain);
    const refused = await gpubox(project, "restore", "--yes", "--from", folder);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("is not signed") });
    const said = await gpubox(project, "restore", "--yes", "--unsigned", "--from", folder);
    expect(said).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("public.fine is not in the backup"),
    });
    expect(said.stdout).toContain("This backup is not signed: whoever could write to its folder");
  });

  test("gives no rights to what an attacker planted in the gateway's own database", async () => {
    const evil = (head: string, back: string) =>
      `CREATE FUNCTION public.${head} LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO PROGRAM 'touch ${CANARY}'; RETURN ${back}; END$$;`;
    // Each fits better than what our own statements mean, so that it runs in its place where public is looked into.
    const planted = [
      evil("hashtextextended(text, integer) RETURNS bigint", "0"),
      `${evil('row_text(public."LiteLLM_TeamTable") RETURNS text', "''")}
       CREATE CAST (public."LiteLLM_TeamTable" AS text) WITH FUNCTION public.row_text(public."LiteLLM_TeamTable");`,
      `${evil("differ(name, text) RETURNS boolean", "true")}
       CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = text, FUNCTION = public.differ);`,
    ];
    const undo =
      'DROP FUNCTION IF EXISTS public.hashtextextended(text, integer), public.row_text(public."LiteLLM_TeamTable"), public.differ(name, text) CASCADE';
    for (const sql of planted) {
      await gatewaySql(project.plan, sql);
      await expect(backUp(store(), "a test", quiet)).rejects.toThrow(
        /permission denied to COPY to or from an external program|The database contains what LiteLLM's schema does not have: "/,
      );
      expect(await hasNoTables(job()).catch((error: Error) => error.message)).toEqual(expect.anything());
      expect(await cluster()).toBe(before);
      await gatewaySql(project.plan, undo);
    }
    expect(await backUp(store(), "a test", quiet)).toContain(`kept/${STACK}-`);
  });

  leavesTheRest();
});
