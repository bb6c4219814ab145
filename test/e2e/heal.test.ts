import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { Checked, DATABASE_ASSETS } from "../support/checked";
import { answerGarbage } from "../support/garbage";
import { needs } from "../support/needs";

const MINUTE = 60_000;
const { stack: STACK } = allocate("heal");

needs("the image gpubox/cache")("a health check that heals", () => {
  const cache = new Checked(
    STACK,
    "cache",
    "sh",
    { "redis.conf": 'requirepass sesame\nsave ""\nappendonly no\n', password: "sesame" },
    ["cache/health.sh"],
  );
  const cli = (...words: string[]) =>
    run("docker", ["exec", "--env", "REDISCLI_AUTH=sesame", cache.name, "redis-cli", ...words]);

  beforeAll(() => cache.start(["--user", "999:999"], ["redis-server", "/etc/gpubox/redis.conf"]), MINUTE);
  afterAll(() => cache.remove(), MINUTE);

  test(
    "lets a process go on that a signal stopped, and only at its second look",
    async () => {
      const life = await cache.inspect("{{.State.StartedAt}}");
      await cache.exec("sh", "-c", "kill -STOP -1");
      expect((await cache.check()).code).toBe(1);
      expect(await cache.log()).not.toContain("a signal had stopped it");
      await cache.looksUntil("it goes on", async () =>
        (await cache.log()).includes("a signal had stopped it; it goes on"),
      );
      const { code, stdout } = await cache.check();
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^\d{10} resumed: a signal had stopped it\n$/),
      ]);
      expect(await cache.inspect("{{.State.StartedAt}} {{.RestartCount}}")).toBe(`${life} 0`);
    },
    MINUTE,
  );

  test.each([
    ["hangs", ["EVAL", "while true do end", "0"], true],
    ["answers what nobody asked for", ["CONFIG", "SET", "requirepass", "another"], false],
  ])(
    "ends a program that %s, and Docker starts it again",
    (_, words, isWaitedFor) => cache.isEndedBy(async () => void cli(...words), isWaitedFor),
    MINUTE,
  );
});

needs("the image gpubox/database")("the health check of Postgres", () => {
  const files = { password: "sesame", "salt-fingerprint": "0123" };
  const database = new Checked(STACK, "database", "sh", files, DATABASE_ASSETS);
  const query = (sql: string) =>
    database.docker("exec", database.name, "psql", "-h", "/tmp", "-U", "postgres", "-qAtc", sql);

  beforeAll(() => database.startPostgres(), MINUTE);
  afterAll(() => database.remove(), MINUTE);

  test.each([
    ["has another password", "alter role litellm password 'another'"],
    ["may not log in", "alter role litellm nologin"],
  ])(
    "asks it to end where its owner %s, and its next start mends that",
    async (_, sql) => {
      await query("create table if not exists kept (at timestamptz)");
      await query("insert into kept values (now())");
      const rows = await query("select count(*) from kept");
      await database.isEndedBy(() => query(sql));
      expect(await query("select count(*) from kept")).toBe(rows);
      expect(await database.log()).toContain("database system is shut down");
    },
    2 * MINUTE,
  );
});

needs("the image gpubox/edge", "root")("the health check of HAProxy", () => {
  const config = `defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend alive
  bind 127.0.0.1:4002
  http-request return status 200
`;
  const edge = new Checked(STACK, "edge", "bash", { "haproxy.cfg": config }, ["haproxy/health.sh"]);

  beforeAll(
    () => edge.start(["--user", "99:99"], ["haproxy", "-W", "-db", "-f", "/etc/gpubox/haproxy.cfg"]),
    MINUTE,
  );
  afterAll(() => edge.remove(), MINUTE);

  test("ends one that answers garbage", () => edge.isEndedBy(() => answerGarbage(edge.name)), MINUTE);
});

needs("the image gpubox/gateway")("the health check of a gateway", () => {
  // A stand-in whose answers are files.
  const script =
    "mkdir -p /tmp/health && echo ok >/tmp/health/liveliness && exec python3 -m http.server --directory /tmp 4000";
  const gateway = new Checked(STACK, "gateway", "sh", {}, ["gateway/health.sh"]);

  beforeAll(() => gateway.start(["--user", "999:999"], ["sh", "-c", script]), MINUTE);
  afterAll(() => gateway.remove(), MINUTE);

  test(
    "ends one that answers as no gateway does",
    () => gateway.isEndedBy(() => gateway.exec("rm", "/tmp/health/liveliness")),
    MINUTE,
  );
});
