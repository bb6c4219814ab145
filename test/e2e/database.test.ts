import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { output, run } from "../../runner/process";
import { defaultProjectDir } from "../../runner/project";
import { recipeReference } from "../../runner/recipes";
import { hasDocker } from "../support/project";

const NAME = "gpubox-test-database";
const MINUTE = 60_000;
const POSTGRES = 999;

/** The database's own entrypoint on the real image, without the rest of a box. */
(hasDocker ? describe : describe.skip)("the database guards its data", () => {
  const image = recipeReference(defaultProjectDir, "database");
  let host: string;

  beforeAll(() => {
    host = mkdtempSync(join(tmpdir(), "gpubox-database-"));
    mkdirSync(join(host, "config"), { mode: 0o750 });
    mkdirSync(join(host, "state"), { mode: 0o750 });
    cpSync(join(defaultProjectDir, "assets/database/entrypoint.sh"), join(host, "config/entrypoint.sh"));
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
      ...["run", "-d", "--name", NAME, "--user", `${POSTGRES}:${POSTGRES}`],
      ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp"],
      ...["-v", `${host}/config:/etc/gpubox:ro`, "-v", `${host}/state:/var/lib/gpubox`],
      ...["-v", `${NAME}:/var/lib/postgresql/data`, "--entrypoint", "sh", image, "/etc/gpubox/entrypoint.sh"],
    ]);
    for (let tries = 0; tries < 120; tries++) {
      const state = await output("docker", [
        "inspect",
        "--format",
        "{{.State.Status}} {{.State.ExitCode}}",
        NAME,
      ]);
      const { stdout, stderr } = await run("docker", ["logs", NAME]);
      const logs = stdout + stderr;
      if (state !== "running 0" || logs.includes("database system is ready")) return { state, logs };
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    throw new Error("the database neither started nor ended within 30 s");
  }

  /** Runs SQL over TCP, as the gateway does. */
  function sql(text: string, password: string) {
    const script =
      'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" psql -h 127.0.0.1 -U litellm -d litellm -qtAc "$1"';
    return run("docker", ["exec", "-e", `PGPASSWORD=${password}`, NAME, "sh", "-c", script, "sh", text]);
  }

  test(
    "the first start makes a database that only the password opens, over TCP and over the socket",
    async () => {
      expect((await start("salt-one")).state).toBe("running 0");
      const hba = await sql("select distinct auth_method from pg_hba_file_rules", "first'pass");
      expect(hba.stdout.trim()).toBe("scram-sha-256");
      expect((await sql("select 1", "wrong")).stderr).toContain("password authentication failed");
      expect((await sql("create table kept (n int); insert into kept values (7)", "first'pass")).code).toBe(
        0,
      );
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
    "a first start that was killed half-way is begun anew",
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
});
