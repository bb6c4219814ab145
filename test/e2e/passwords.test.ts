import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dump } from "../../operations/backup/dump";
import { restoreDump } from "../../operations/backup/restoreRole";
import { dropNext, makeNext, NEXT } from "../../operations/backup/swap";
import { ownerSql } from "../../platform/box/database";
import { allocate, scratch } from "../support/allocate";
import { Checked, DATABASE_ASSETS } from "../support/checked";
import { leaksIn } from "../support/leaks";
import { needs } from "../support/needs";

const MINUTE = 60_000;
const { stack: STACK } = allocate("passwords");
/** Libpq's file of passwords and Redis's input each have characters of their own to escape. */
const PASSWORD = String.raw`se\sa:me "open" #1`;

/** Programs in a container that write down what /proc shows of them, and then do what they are named after. */
class Watched {
  private readonly programs = scratch("watched-programs");
  private readonly seen = scratch("watched-seen");
  /** Options of `docker run`. */
  readonly options = [
    ...["--volume", `${this.programs}:/watched:ro`, "--volume", `${this.seen}:/seen`],
    ...["--env", "PATH=/watched:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  ];

  constructor(...names: string[]) {
    for (const name of names)
      writeFileSync(
        join(this.programs, name),
        `#!/bin/sh
cat /proc/$$/environ /proc/$$/cmdline >/seen/${name}.$$
exec "$(PATH=$(echo "$PATH" | sed s,/watched:,,g); command -v ${name})" "$@"
`,
        { mode: 0o755 },
      );
    chmodSync(this.programs, 0o755);
    chmodSync(this.seen, 0o777);
  }

  /** What was seen of the programs that ran meanwhile. */
  async during(work: () => Promise<unknown>): Promise<{ name: string; text: string }[]> {
    for (const file of readdirSync(this.seen)) rmSync(join(this.seen, file));
    await work();
    return readdirSync(this.seen)
      .sort()
      .map((file) => ({ name: file.split(".")[0]!, text: readFileSync(join(this.seen, file), "utf8") }));
  }

  remove(): void {
    for (const folder of [this.programs, this.seen]) rmSync(folder, { recursive: true });
  }
}

needs("the image gpubox/database")("the password of Postgres", () => {
  const watched = new Watched("psql", "pg_dump", "pg_isready", "pg_restore", "timeout");
  const database = new Checked(STACK, "database", "sh", { password: PASSWORD, "salt-fingerprint": "0123" }, [
    ...DATABASE_ASSETS,
    "kubernetes/backup.sh",
  ]);
  const at = { docker: "unix:///var/run/docker.sock", container: database.name };
  const folder = scratch("passwords");
  const path = join(folder, "dump");

  beforeAll(async () => {
    await database.startPostgres([
      ...["--tmpfs", "/backups:uid=999", "--add-host", "database:127.0.0.1"],
      ...watched.options,
    ]);
    await ownerSql(at, "create table kept (n int)");
  }, MINUTE);
  afterAll(async () => {
    await database.remove();
    watched.remove();
    rmSync(folder, { recursive: true });
  }, MINUTE);

  test.each<[string, string[], () => Promise<unknown>]>([
    ["the health check", ["psql", "timeout"], async () => expect((await database.check()).code).toBe(0)],
    ["a question", ["psql"], async () => expect(await ownerSql(at, "select 1")).toBe("1")],
    ["a dump", ["pg_dump", "psql"], () => dump(at, path)],
    [
      "a restore",
      ["pg_restore", "psql", "timeout"],
      async () => {
        await makeNext(at);
        await restoreDump(at, NEXT, path);
        await dropNext(at);
      },
    ],
    [
      "a cluster's backup",
      ["pg_dump", "pg_isready", "pg_restore", "psql"],
      // The script looks for Postgres's folder beside the first pg_dump.
      () =>
        database.docker(
          ...["exec", database.name, "sh", "-c"],
          'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" exec sh /etc/gpubox/backup.sh 3 test',
        ),
    ],
  ])(
    "reaches no program of %s as an argument or a variable",
    async (_, programs, work) => {
      const seen = await watched.during(work);
      expect([...new Set(seen.map(({ name }) => name))]).toEqual(expect.arrayContaining(programs));
      // A restore makes a password of its own, which is all hex.
      expect(seen.filter(({ text }) => /PGPASSWORD|[0-9a-f]{64}/.test(text))).toEqual([]);
      expect(seen.flatMap(({ name, text }) => leaksIn(name, text, { PASSWORD }))).toEqual([]);
    },
    MINUTE,
  );

  test("and leaves no file there", async () => {
    expect((await database.exec("ls", "/tmp")).stdout).not.toContain("tmp.");
  });
});

needs("the image gpubox/cache")("the password of Redis", () => {
  const watched = new Watched("redis-cli", "timeout");
  const quoted = PASSWORD.replaceAll(/["\\]/g, (found) => `\\${found}`);
  const config = `requirepass "${quoted}"\nsave ""\nappendonly no\n`;
  const cache = new Checked(STACK, "cache", "sh", { "redis.conf": config, password: PASSWORD }, [
    "cache/health.sh",
  ]);

  beforeAll(
    () => cache.start(["--user", "999:999", ...watched.options], ["redis-server", "/etc/gpubox/redis.conf"]),
    MINUTE,
  );
  afterAll(async () => {
    await cache.remove();
    watched.remove();
  }, MINUTE);

  test("reaches no program of its health check as an argument or a variable", async () => {
    const seen = await watched.during(async () => expect((await cache.check()).code).toBe(0));
    expect(seen.map(({ name }) => name)).toEqual(["redis-cli", "timeout"]);
    expect(seen.flatMap(({ name, text }) => leaksIn(name, text, { PASSWORD }))).toEqual([]);
  });
});
