import { spawnSync } from "node:child_process";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureStackConfig, packageDir } from "../../platform/project";
import { type PulumiEngine, pulumiOutput, selectStack } from "../../platform/pulumi/engine";
import { allocate, scratch } from "./allocate";
import { needs } from "./needs";

const found = spawnSync("pulumi", ["version"], { encoding: "utf8" });

/** Stack of every project of a test file. */
export const { stack: SCRATCH } = allocate("scratch");

/** A `describe` of tests that need the real engine. */
export const withPulumi = needs("pulumi");

/** A Pulumi project of its own in a temporary folder, with a file backend and one stack that is not selected yet. */
export class ScratchProject {
  readonly stack = SCRATCH;
  readonly dir = scratch("scratch");
  readonly engine: PulumiEngine = { program: "pulumi", version: found.stdout.trim(), projectDir: this.dir };
  /** What was said to the person at the terminal. */
  readonly lines: string[] = [];
  readonly log = (line: string) => void this.lines.push(line);
  private readonly environment = { ...process.env };

  /** @param program text of its index.js */
  constructor(program: string) {
    for (const name of ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
      delete process.env[name];
    this.write(
      "Pulumi.yaml",
      "name: gpubox\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.js\n" +
        "backend: { url: 'file://.gpubox/state' }\n",
    );
    this.write("package.json", '{ "name": "gpubox-scratch", "main": "index.js" }');
    this.write("index.js", program);
    this.write(
      `Pulumi.${this.stack}.example.yaml`,
      "# why this port\nconfig:\n  gpubox:gateway:\n    port: 4000\n",
    );
    symlinkSync(join(packageDir, "node_modules"), join(this.dir, "node_modules"));
    ensureStackConfig(this.dir, this.stack);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.dir, name), text);
  }

  select(): Promise<void> {
    return selectStack(this.engine, this.stack);
  }

  /** Runs a Pulumi command for the stack; it has to succeed. */
  pulumi(args: string[], env: Record<string, string> = {}): Promise<string> {
    return pulumiOutput(this.engine, [...args, "--stack", this.stack], { env });
  }

  up(env: Record<string, string> = {}): Promise<string> {
    return this.pulumi(["up", "--yes", "--skip-preview"], env);
  }

  remove(): void {
    process.env = this.environment;
    rmSync(this.dir, { recursive: true });
  }
}
