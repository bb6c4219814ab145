import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GeneratedSecret } from "../../configs/stack/config";
import { UserError } from "../../platform/process";
import { exportsFor } from "../../platform/pulumi/engine";
import { ensureSecrets, readSecrets } from "../../platform/stack/secrets";
import { ScratchProject, withPulumi } from "../support/scratchProject";

jest.setTimeout(120_000);

let project: ScratchProject;
beforeEach(() => {
  project = new ScratchProject(
    `exports.length = new (require("@pulumi/pulumi").Config)("gpubox").getSecret("masterKey")?.apply((key) => key.length);`,
  );
});
afterEach(() => project.remove());

const store = () => ({ projectDir: project.dir, stack: project.stack, engine: project.engine });

/** Every file below a folder, as one text. */
function textsBelow(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

withPulumi("selecting a stack", () => {
  test("keeps the text of a config that has no salt yet, and adds one", async () => {
    await project.select();
    const text = readFileSync(join(project.dir, `Pulumi.${project.stack}.yaml`), "utf8");
    expect(text).toMatch(
      /^# why this port\nconfig:\n {2}gpubox:gateway:\n {4}port: 4000\nencryptionsalt: v1:/,
    );
    await project.select();
    expect(readFileSync(join(project.dir, `Pulumi.${project.stack}.yaml`), "utf8")).toBe(text);
  });

  test("makes plain `pulumi preview` work in a normal shell after the printed exports", async () => {
    await project.select();
    const { PATH, HOME, PULUMI_HOME } = process.env;
    // A test run has a home of Pulumi's own.
    const home = PULUMI_HOME ? [`PULUMI_HOME=${PULUMI_HOME}`] : [];
    const clean = [`PATH=${PATH}`, `HOME=${HOME}`, ...home];
    const shell = (...script: string[]) =>
      spawnSync("env", ["-i", ...clean, "sh", "-c", script.join("\n")], {
        cwd: project.dir,
        encoding: "utf8",
      });
    const preview = "pulumi preview --non-interactive";
    expect(shell(preview).stderr).toContain("passphrase must be set");
    const previewed = { status: 0, stdout: expect.stringContaining(`Previewing update (${project.stack})`) };
    expect(shell(...exportsFor(project.engine), preview)).toMatchObject(previewed);

    const bin = join(project.dir, ".gpubox", "pulumi", "bin");
    mkdirSync(bin, { recursive: true });
    for (const name of ["pulumi", "pulumi-language-nodejs"])
      symlinkSync(
        execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
        join(bin, name),
      );
    const installed = exportsFor({ ...project.engine, program: join(bin, "pulumi") });
    expect(shell(...installed, "command -v pulumi").stdout).toBe(`${join(bin, "pulumi")}\n`);
    expect(shell(...installed, preview)).toMatchObject(previewed);
  });

  test("refuses a passphrase that does not open the stack's secrets", async () => {
    const refusal = new UserError(
      "This stack's secrets were encrypted with another passphrase.",
      `Put the passphrase that the stack was made with into ${project.dir}/.gpubox/passphrase, or export PULUMI_CONFIG_PASSPHRASE.`,
    );
    const make = (name: GeneratedSecret) => ensureSecrets({ ...store(), names: [name], log: project.log });
    await project.select();
    const passphrase = join(project.dir, ".gpubox", "passphrase");
    const right = readFileSync(passphrase, "utf8");
    writeFileSync(passphrase, "another");
    await expect(make("saltKey")).rejects.toThrow(refusal);
    writeFileSync(passphrase, right);
    await make("saltKey");
    writeFileSync(passphrase, "another");
    await project.select();
    await expect(readSecrets(store())).rejects.toThrow(refusal);
  });
});

withPulumi("secrets", () => {
  const names = ["masterKey", "saltKey", "cachePassword", "databasePassword"] as const;

  test("reach Pulumi only through stdin, and are nowhere in plain text", async () => {
    await project.select();
    const recorded = join(project.dir, "arguments");
    const wrapper = join(project.dir, "wrapper", "pulumi");
    mkdirSync(join(project.dir, "wrapper"));
    const real = execFileSync("sh", ["-c", "command -v pulumi"], { encoding: "utf8" }).trim();
    // Arguments and environment as any process of this machine, or of this user, could read them.
    const record = `{ echo "$*"; env; } >>'${recorded}'\nexec '${real}' "$@"\n`;
    writeFileSync(wrapper, `#!/bin/sh\n${record}`, { mode: 0o755 });
    await ensureSecrets({
      ...store(),
      engine: { ...project.engine, program: wrapper },
      names,
      log: project.log,
    });
    const secrets = await readSecrets(store());
    expect(Object.keys(secrets).sort()).toEqual([...names].sort());
    expect(secrets.saltKey).toMatch(/^sk-[\w-]{43}$/);
    expect(project.lines).toEqual([
      "  made the secrets masterKey, saltKey, cachePassword, databasePassword; `pulumi config get gpubox:masterKey` shows one",
    ]);
    await project.up();
    const seen = `${readFileSync(recorded, "utf8")}${textsBelow(join(project.dir, ".gpubox", "state"))}`;
    expect(seen).toContain("config set --secret gpubox:saltKey");
    expect(seen).toContain(`urn:pulumi:${project.stack}::gpubox`);
    const config = readFileSync(join(project.dir, `Pulumi.${project.stack}.yaml`), "utf8");
    for (const value of Object.values(secrets)) expect(`${seen}${config}`).not.toContain(value);
    await ensureSecrets({ ...store(), names, log: project.log });
    expect(await readSecrets(store())).toEqual(secrets);
    expect(project.lines).toHaveLength(1);
  });

  test("from before the engine are moved, and the salt stays", async () => {
    await ensureSecrets({ ...store(), engine: undefined, names, log: project.log });
    const before = await readSecrets({ ...store(), engine: undefined });
    await project.select();
    await ensureSecrets({ ...store(), names, log: project.log });
    expect(await readSecrets(store())).toEqual(before);
    expect(existsSync(join(project.dir, ".gpubox", `secrets.${project.stack}.json`))).toBe(false);
    expect(project.lines.slice(1)).toEqual([
      `  moved the secrets of .gpubox/secrets.${project.stack}.json to Pulumi.${project.stack}.yaml`,
    ]);
  });

  test("of the file count beside those of the config until an `up` moves them", async () => {
    await project.select();
    const made = await ensureSecrets({ ...store(), names: ["saltKey"], log: project.log });
    const file = join(project.dir, ".gpubox", `secrets.${project.stack}.json`);
    writeFileSync(file, '{"providerKey":"planted"}');
    expect(await readSecrets(store())).toEqual({ ...made, providerKey: "planted" });
  });

  test("with different values in file and config are refused, and both stay", async () => {
    await project.select();
    await ensureSecrets({ ...store(), names: ["saltKey"], log: project.log });
    const file = join(project.dir, ".gpubox", `secrets.${project.stack}.json`);
    writeFileSync(file, '{"saltKey":"sk-other"}');
    const before = await readSecrets(store());
    await expect(ensureSecrets({ ...store(), names, log: project.log })).rejects.toMatchObject({
      what: `saltKey in .gpubox/secrets.${project.stack}.json differs from Pulumi.${project.stack}.yaml.`,
    });
    expect(readFileSync(file, "utf8")).toBe('{"saltKey":"sk-other"}');
    expect(await readSecrets(store())).toEqual(before);
  });

  test("in plain text in the config are left for the validation to report", async () => {
    await project.select();
    await project.pulumi(["config", "set", "gpubox:masterKey", "sk-plain"]);
    await ensureSecrets({ ...store(), names: ["masterKey"], log: project.log });
    expect(await project.pulumi(["config", "get", "gpubox:masterKey"])).toBe("sk-plain");
    expect(project.lines).toEqual([]);
  });
});
