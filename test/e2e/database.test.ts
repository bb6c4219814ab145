import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const NAME = `gpubox-${allocate("database").stack}-database`;
const MINUTE = 60_000;
const POSTGRES = 999;

/** The database's own entrypoint on the real image, without the rest of a box. */
needs("docker")("the database guards its data", () => {
  const image = recipeReference(packageDir, "database");
  let host: string;

  beforeAll(() => {
    host = scratch("database");
    mkdirSync(join(host, "config"), { mode: 0o750 });
    mkdirSync(join(host, "state"), { mode: 0o750 });
    cpSync(join(packageDir, "assets/database/entrypoint.sh"), join(host, "config/entrypoint.sh"));
  });
  afterAll(async () => {
    await run("docker", ["rm", "-f", NAME]);
    await run("docker", ["volume", "rm", "-f", NAME]);
    rmSync(host, { recursive: true, force: true });
  });

  /** Starts it with this salt and password, and resolves when it accepts connections or has ended. */
  async function start(salt: string, password = "first'pass"): Promise<{ state: string; logs: string }> {
    await run("docker", ["rm", "-f", NAME]);
    writeFileSync(join(host, "config/salt-fingerprint"), salt);
    writeFileSync(join(host, "config/password"), password);
    await output("chown", ["-R", `0:${POSTGRES}`, join(host, "config")]);
    await output("chmod", [
      "0640",
      ...["entrypoint.sh", "salt-fingerprint", "password"].map((f) => join(host, "config", f)),
    ]);
    await output("chown", [`${POSTGRES}:${POSTGRES}`, join(host, "state")]);
    await output("docker", [
      ...["run", "-d", "--name", NAME, "--user", `${POSTGRES}:${POSTGRES}`, "--env", "GPUBOX_OWNER=litellm"],
      ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp"],
      ...["-v", `${host}/config:/etc/gpubox:ro`, "-v", `${host}/state:/var/lib/gpubox`],
      ...["-v", `${NAME}:/var/lib/postgresql/data`, "--entrypoint", "sh", image, "/etc/gpubox/entrypoint.sh"],
    ]);
    return until("the database has started or ended", async () => {
      const format = "{{.State.Status}} {{.State.ExitCode}}";
      const state = await output("docker", ["inspect", "--format", format, NAME]);
      const { stdout, stderr } = await run("docker", ["logs", NAME]);
      const logs = stdout + stderr;
      return (state !== "running 0" || logs.includes("database system is ready")) && { state, logs };
    });
  }

  const ON_PATH = 'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"';

  /** Runs SQL over the socket, as the verbs do. */
  function asAdmin(text: string) {
    const script = `${ON_PATH} psql -h /tmp -U postgres -d litellm -qtAc "$1"`;
    return run("docker", ["exec", NAME, "sh", "-c", script, "sh", text]);
  }

  /** Runs SQL over TCP, as the gateway does. */
  function sql(text: string, password: string) {
    const script = `${ON_PATH} psql -h 127.0.0.1 -U litellm -d litellm -qtAc "$1"`;
    return run("docker", ["exec", "-e", `PGPASSWORD=${password}`, NAME, "sh", "-c", script, "sh", text]);
  }

  test(
    "the first start makes a database that only the password opens over TCP, and the container's own user over the socket",
    async () => {
      expect((await start("salt-one")).state).toBe("running 0");
      const hba = "select distinct type, auth_method from pg_hba_file_rules order by 1";
      expect((await asAdmin(hba)).stdout.trim()).toBe("host|scram-sha-256\nlocal|peer");
      const asGateway = "psql -h /tmp -U litellm -d litellm -c 'select 1'";
      expect((await run("docker", ["exec", NAME, "sh", "-c", `${ON_PATH} ${asGateway}`])).stderr).toContain(
        "Peer authentication failed",
      );
      expect((await sql("select 1", "wrong")).stderr).toContain("password authentication failed");
      expect((await sql("create table kept (n int); insert into kept values (7)", "first'pass")).code).toBe(
        0,
      );
    },
    2 * MINUTE,
  );

  test(
    "the gateway's role owns its database and is no superuser: it runs no program and makes no role",
    async () => {
      const given = "alter role litellm createdb createrole; grant pg_execute_server_program to litellm";
      expect((await asAdmin(given)).code).toBe(0);
      expect((await start("salt-one")).state).toBe("running 0");
      const of = "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user";
      expect((await sql(of, "first'pass")).stdout.trim()).toBe("f|f|f");
      expect((await sql("copy kept from program 'id'", "first'pass")).stderr).toContain("permission denied");
      expect((await sql("create role other login", "first'pass")).stderr).toContain("permission denied");
      const others =
        "select datname from pg_database where has_database_privilege('public', datname, 'connect')";
      expect((await asAdmin(others)).stdout.trim()).toBe("template0");
    },
    2 * MINUTE,
  );

  test(
    "another password in the file is the password after the next start, and the data is still there",
    async () => {
      expect((await start("salt-one", 'sec"ond$pass')).state).toBe("running 0");
      expect((await sql("select n from kept", 'sec"ond$pass')).stdout.trim()).toBe("7");
      expect((await sql("select 1", "first'pass")).stderr).toContain("password authentication failed");
    },
    2 * MINUTE,
  );

  test(
    "another salt key is refused, and the data is untouched",
    async () => {
      const { state, logs } = await start("salt-two");
      expect(state).toBe("exited 78");
      expect(logs).toContain("the salt key is not the one that this database was encrypted with");
      expect((await start("salt-one")).state).toBe("running 0");
      expect((await sql("select n from kept", "first'pass")).stdout.trim()).toBe("7");
    },
    2 * MINUTE,
  );

  test(
    "a database of another major is refused",
    async () => {
      const version = "/var/lib/postgresql/data/pgdata/PG_VERSION";
      await run("docker", ["rm", "-f", NAME]);
      const edit = (major: string) =>
        output("docker", [
          "run",
          "--rm",
          "-v",
          `${NAME}:/var/lib/postgresql/data`,
          "--entrypoint",
          "sh",
          image,
          "-c",
          `echo ${major} > ${version}`,
        ]);
      await edit("15");
      const { state, logs } = await start("salt-one");
      expect(state).toBe("exited 78");
      expect(logs).toMatch(/the volume holds a database of Postgres 15 and this image is Postgres 17/);
      await edit("17");
    },
    2 * MINUTE,
  );

  test(
    "an empty volume where a database was is refused",
    async () => {
      await run("docker", ["rm", "-f", NAME]);
      await output("docker", ["volume", "rm", NAME]);
      const { state, logs } = await start("salt-one");
      expect(state).toBe("exited 78");
      expect(logs).toContain("this box had a database and its volume is empty now");
    },
    2 * MINUTE,
  );

  test(
    "a first start that was killed halfway starts again",
    async () => {
      await run("docker", ["rm", "-f", NAME]);
      await run("docker", ["volume", "rm", "-f", NAME]);
      rmSync(join(host, "state/initialised"), { force: true });
      const make =
        "mkdir -p /var/lib/postgresql/data/pgdata.new/base && echo 17 > /var/lib/postgresql/data/pgdata.new/PG_VERSION";
      await output("docker", [
        "run",
        "--rm",
        "-v",
        `${NAME}:/var/lib/postgresql/data`,
        "--entrypoint",
        "sh",
        image,
        "-c",
        make,
      ]);
      expect((await start("salt-one")).state).toBe("running 0");
      expect((await sql("select 1", "first'pass")).stdout.trim()).toBe("1");
    },
    2 * MINUTE,
  );

  test(
    "a volume of the first versions, where the gateway's role was the superuser, keeps its data, and the role loses its rights",
    async () => {
      await run("docker", ["rm", "-f", NAME]);
      const objects = `CREATE SCHEMA more; CREATE TYPE kind AS ENUM ('a'); CREATE DOMAIN word AS text;
        CREATE TABLE "Ta ble" (n serial PRIMARY KEY, i int GENERATED ALWAYS AS IDENTITY, kind kind, word word);
        INSERT INTO "Ta ble" (kind) VALUES ('a'), (NULL); CREATE VIEW seen AS SELECT * FROM "Ta ble";
        CREATE SEQUENCE more.alone; CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';`.replaceAll(
        ";",
        ";\n\n",
      );
      const before = `${ON_PATH}; cd /var/lib/postgresql/data && rm -rf pgdata && echo old > /tmp/pw &&
        initdb -D pgdata -U litellm --pwfile=/tmp/pw --auth-local=scram-sha-256 --auth-host=scram-sha-256 >/dev/null &&
        echo 'host all all all scram-sha-256' >> pgdata/pg_hba.conf &&
        echo 'CREATE DATABASE litellm;' | postgres --single -D pgdata postgres >/dev/null &&
        echo "$1" | postgres --single -j -D pgdata litellm >/dev/null`;
      const mount = ["--user", `${POSTGRES}:${POSTGRES}`, "-v", `${NAME}:/var/lib/postgresql/data`];
      const prepare = ["run", "--rm", ...mount, "--entrypoint", "sh", image, "-c", before, "sh", objects];
      await output("docker", prepare);
      for (let starts = 0; starts < 2; starts++) {
        expect((await start("salt-one")).state).toBe("running 0");
        expect((await sql("select current_user", "first'pass")).stdout.trim()).toBe("litellm");
        expect((await asAdmin("select current_user")).stdout.trim()).toBe("postgres");
        const of = "select rolsuper, rolcanlogin from pg_roles where rolname in ('litellm', 'gpubox_initdb')";
        expect((await asAdmin(`${of} order by rolname`)).stdout.trim()).toBe("t|f\nf|t");
        const owners = `select distinct coalesce(r.rolname, d.refobjid::text) from pg_shdepend d left join pg_roles r
          on r.oid = d.refobjid where deptype = 'o' and dbid = (select oid from pg_database where datname = 'litellm')`;
        expect((await asAdmin(owners)).stdout.trim()).toBe("litellm");
        const of10 = `select count(*) from pg_class where relowner = 10 and relnamespace in
          ('public'::regnamespace, 'more'::regnamespace)`;
        expect((await asAdmin(of10)).stdout.trim()).toBe("0");
        expect((await sql("select count(*) from seen", "first'pass")).stdout.trim()).toBe("2");
        const use = `alter table "Ta ble" add column x${starts} int; alter type kind add value 'b${starts}';
          alter function one() strict; drop sequence if exists more.alone; create table more.t${starts} ()`;
        expect(await sql(use, "first'pass")).toMatchObject({
          code: 0,
          stderr: expect.not.stringContaining("ERROR"),
        });
        expect((await sql("copy seen to program 'id'", "first'pass")).stderr).toContain("permission denied");
      }
    },
    2 * MINUTE,
  );
});
