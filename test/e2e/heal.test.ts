import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type Recipe, recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { answerGarbage } from "../support/garbage";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK } = allocate("heal");

/** A container of an image of the box's, with its health check, which nobody but the test runs. */
class Checked {
  readonly name: string;
  private readonly dir: string;

  constructor(
    readonly role: Recipe,
    private readonly shell: string,
    /** Files of its /etc/gpubox, beside the health check of `assets`. */
    private readonly files: Record<string, string>,
    private readonly assets: string[],
  ) {
    this.name = `gpubox-${STACK}-${role}`;
    this.dir = scratch(`heal-${role}`);
  }

  async start(options: string[], command: string[]): Promise<void> {
    chmodSync(this.dir, 0o755);
    const config = join(this.dir, "config");
    mkdirSync(config);
    for (const asset of [...this.assets, "health/heal.sh"])
      cpSync(join(packageDir, "assets", asset), join(config, asset.split("/").at(-1)!));
    for (const [file, text] of Object.entries(this.files)) writeFileSync(join(config, file), text);
    await this.docker(
      ...["run", "--detach", "--init", "--name", this.name, "--network", "none", "--read-only"],
      ...["--cap-drop", "ALL", "--tmpfs", "/tmp", "--security-opt", "no-new-privileges"],
      ...["--restart", "unless-stopped", "--volume", `${config}:/etc/gpubox:ro`, ...options],
      ...["--entrypoint", command[0]!, recipeReference(packageDir, this.role), ...command.slice(1)],
    );
    await this.passes();
  }

  async docker(...args: string[]) {
    return (await output("docker", args)).trim();
  }

  inspect(format: string) {
    return this.docker("inspect", "--format", format, this.name);
  }

  exec(...words: string[]) {
    return run("docker", ["exec", this.name, ...words]);
  }

  check(...env: string[]) {
    const words = env.flatMap((one) => ["--env", one]);
    return run("docker", ["exec", ...words, this.name, this.shell, "/etc/gpubox/health.sh"]);
  }

  async log() {
    const { stdout, stderr } = await run("docker", ["logs", this.name]);
    return stdout + stderr;
  }

  passes() {
    return until("it passes", async () => (await this.check()).code === 0);
  }

  /** Looks as Docker does, until one sees to it. */
  looksUntil(what: string, healed: () => Promise<boolean>) {
    return until(what, async () => {
      await this.check();
      return healed();
    });
  }

  /**
   * What the fault leads to: looks that fail, its end, and a new life that passes. The time between the first such look and the end is
   * waited for or, where that is not the claim, said to be over.
   */
  async isEndedBy(cause: () => Promise<unknown>, isWaitedFor = false): Promise<void> {
    const before = Number(await this.inspect("{{.RestartCount}}"));
    await cause();
    await until("it does not pass", async () => (await this.check("GPUBOX_ONLY_ASKS=1")).code !== 0);
    if (!isWaitedFor) {
      await this.check();
      const earlier = 'read -r since computed <"$1" && echo "$((since - 60)) $computed" >"$1"';
      await this.docker("exec", this.name, "sh", "-c", earlier, "sh", "/tmp/gpubox-failing");
      expect(Number(await this.inspect("{{.RestartCount}}"))).toBe(before);
    }
    await this.looksUntil(
      "it is ended",
      async () => Number(await this.inspect("{{.RestartCount}}")) > before,
    );
    expect(await this.log()).toMatch(/it has not answered as it should for \d+ s; it is ended/);
    await this.passes();
  }

  async remove(): Promise<void> {
    await run("docker", ["rm", "--force", "--volumes", this.name]);
    rmSync(this.dir, { recursive: true });
  }
}

needs("the image gpubox/cache")("a health check that heals", () => {
  const cache = new Checked(
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
  const database = new Checked("database", "sh", { password: "sesame", "salt-fingerprint": "0123" }, [
    "database/health.sh",
    "database/entrypoint.sh",
  ]);
  const query = (sql: string) =>
    database.docker("exec", database.name, "psql", "-h", "/tmp", "-U", "postgres", "-qAtc", sql);

  beforeAll(
    () =>
      database.start(
        [
          ...["--user", "999:999", "--env", "GPUBOX_OWNER=litellm", "--tmpfs", "/var/lib/gpubox:uid=999"],
          ...["--volume", "/var/lib/postgresql/data"],
        ],
        ["sh", "/etc/gpubox/entrypoint.sh"],
      ),
    MINUTE,
  );
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
  const edge = new Checked("edge", "bash", { "haproxy.cfg": config }, ["haproxy/health.sh"]);

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
  const gateway = new Checked("gateway", "sh", {}, ["gateway/health.sh"]);

  beforeAll(() => gateway.start(["--user", "999:999"], ["sh", "-c", script]), MINUTE);
  afterAll(() => gateway.remove(), MINUTE);

  test(
    "ends one that answers as no gateway does",
    () => gateway.isEndedBy(() => gateway.exec("rm", "/tmp/health/liveliness")),
    MINUTE,
  );
});
