import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type Recipe, recipeReference } from "../../platform/stack/recipes";
import { scratch } from "./allocate";
import { until } from "./wait";

/** What {@link Checked.startPostgres} needs of the assets. */
export const DATABASE_ASSETS = ["database/health.sh", "database/login.sh", "database/entrypoint.sh"];

/** A container of an image of the box's, with its health check, which nobody but the test runs. */
export class Checked {
  readonly name: string;
  private readonly dir: string;

  constructor(
    stack: string,
    readonly role: Recipe,
    private readonly shell: string,
    /** Files of its /etc/gpubox, beside the health check of `assets`. */
    private readonly files: Record<string, string>,
    private readonly assets: string[],
  ) {
    this.name = `gpubox-${stack}-${role}`;
    this.dir = scratch(`checked-${role}`);
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

  /** Starts Postgres as the box does. Its `assets` begin with {@link DATABASE_ASSETS}. */
  startPostgres(options: string[] = []): Promise<void> {
    return this.start(
      [
        ...["--user", "999:999", "--env", "GPUBOX_OWNER=litellm", "--tmpfs", "/var/lib/gpubox:uid=999"],
        ...["--volume", "/var/lib/postgresql/data", ...options],
      ],
      ["sh", "/etc/gpubox/entrypoint.sh"],
    );
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
