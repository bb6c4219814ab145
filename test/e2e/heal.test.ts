import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;

needs("the image gpubox/cache")("a health check that heals", () => {
  const name = `gpubox-${allocate("heal").stack}-cache`;
  let dir: string;

  const docker = async (...args: string[]) => (await output("docker", args)).trim();
  const inspect = (format: string) => docker("inspect", "--format", format, name);
  const check = (...env: string[]) =>
    run("docker", ["exec", ...env.flatMap((one) => ["--env", one]), name, "sh", "/etc/gpubox/health.sh"]);
  const cli = (...words: string[]) =>
    run("docker", ["exec", "--env", "REDISCLI_AUTH=sesame", name, "redis-cli", ...words]);
  const log = async () => {
    const { stdout, stderr } = await run("docker", ["logs", name]);
    return stdout + stderr;
  };
  const passes = () => until("it passes", async () => (await check()).code === 0);
  /** Looks as Docker does, until one sees to it. */
  const looksUntil = (what: string, healed: () => Promise<boolean>) =>
    until(what, async () => {
      await check();
      return healed();
    });

  beforeAll(async () => {
    dir = scratch("heal");
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, "config"));
    for (const asset of ["cache/health.sh", "health/heal.sh"])
      cpSync(join(packageDir, "assets", asset), join(dir, "config", asset.split("/").at(-1)!));
    writeFileSync(join(dir, "config/redis.conf"), 'requirepass sesame\nsave ""\nappendonly no\n');
    writeFileSync(join(dir, "config/password"), "sesame");
    await docker(
      ...["run", "--detach", "--init", "--name", name, "--network", "none", "--user", "999:999"],
      ...["--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp", "--security-opt", "no-new-privileges"],
      ...["--restart", "unless-stopped", "--volume", `${join(dir, "config")}:/etc/gpubox:ro`],
      ...["--entrypoint", "redis-server", recipeReference(packageDir, "cache"), "/etc/gpubox/redis.conf"],
    );
    await passes();
  }, MINUTE);
  afterAll(async () => {
    await run("docker", ["rm", "--force", name]);
    rmSync(dir, { recursive: true });
  }, MINUTE);

  test(
    "lets a process go on that a signal stopped, and only at its second look",
    async () => {
      const life = await inspect("{{.State.StartedAt}}");
      await run("docker", ["exec", name, "sh", "-c", "kill -STOP -1"]);
      expect((await check()).code).toBe(1);
      expect(await log()).not.toContain("a signal had stopped it");
      await looksUntil("it goes on", async () =>
        (await log()).includes("a signal had stopped it; it goes on"),
      );
      const { code, stdout } = await check();
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^\d{10} resumed: a signal had stopped it\n$/),
      ]);
      expect(await inspect("{{.State.StartedAt}} {{.RestartCount}}")).toBe(`${life} 0`);
    },
    MINUTE,
  );

  test.each([
    ["hangs", ["EVAL", "while true do end", "0"]],
    ["answers what nobody asked for", ["CONFIG", "SET", "requirepass", "another"]],
  ])(
    "ends a program that %s, and Docker starts it again",
    async (_, words) => {
      const before = Number(await inspect("{{.RestartCount}}"));
      void cli(...words);
      await until("it does not pass", async () => (await check("GPUBOX_ONLY_ASKS=1")).code !== 0);
      await looksUntil("it is ended", async () => Number(await inspect("{{.RestartCount}}")) > before);
      expect(await log()).toMatch(/it has not answered as it should for \d+ s; it is ended/);
      await passes();
    },
    MINUTE,
  );
});
