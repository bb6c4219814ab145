import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../runner/process";
import { ensurePassphrase, ensureStackConfig, packageDir, pulumiProject } from "../../runner/project";
import { ensurePulumi, exportsFor, pulumiEnv, versionAtLeast } from "../../runner/pulumiEngine";
import { ensureSecrets, readSecrets } from "../../runner/secrets";

const environment = { ...process.env };
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-project-"));
  delete process.env.PULUMI_CONFIG_PASSPHRASE;
  delete process.env.PULUMI_CONFIG_PASSPHRASE_FILE;
  delete process.env.PULUMI_BACKEND_URL;
});
afterEach(() => {
  process.env = { ...environment };
  rmSync(dir, { recursive: true });
});

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("a stack's config", () => {
  test("is made once from its example", () => {
    writeFileSync(join(dir, "Pulumi.dev.example.yaml"), "config: {} # an example\n");
    expect(ensureStackConfig(dir, "dev")).toBe(join(dir, "Pulumi.dev.yaml"));
    expect(readFileSync(join(dir, "Pulumi.dev.yaml"), "utf8")).toBe("config: {} # an example\n");
    writeFileSync(join(dir, "Pulumi.dev.yaml"), "config: { mine: 1 }\n");
    ensureStackConfig(dir, "dev");
    expect(readFileSync(join(dir, "Pulumi.dev.yaml"), "utf8")).toBe("config: { mine: 1 }\n");
  });

  test("that does not exist is refused with the names of those that do", () => {
    writeFileSync(join(dir, "Pulumi.dev.example.yaml"), "");
    writeFileSync(join(dir, "Pulumi.box.yaml"), "");
    expect(() => ensureStackConfig(dir, "bxo")).toThrow(
      new UserError(
        `There is no stack "bxo": Pulumi.bxo.yaml does not exist.`,
        "Name one of box, dev, or copy one's file to Pulumi.bxo.yaml.",
      ),
    );
    expect(() => ensureStackConfig(dir, "../dev")).toThrow(/^"\.\.\/dev" cannot be a stack's name\./);
  });
});

describe("the passphrase", () => {
  test("is 32 random bytes that only this user can read, and is kept", () => {
    const path = ensurePassphrase(dir);
    const text = readFileSync(path, "utf8");
    expect(text).toMatch(/^[\w-]{43}$/);
    expect(mode(path)).toBe("600");
    expect(mode(join(dir, ".gpubox"))).toBe("700");
    ensurePassphrase(dir);
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});

describe("where the state lies", () => {
  const yaml = "name: gpubox\nbackend:\n  url: file://.gpubox/state\n";

  test.each([
    [undefined, "PROJECT/.gpubox/state"],
    ["file:///var/state?no_tmp_dir=true", "/var/state"],
    ["file://~/state", "HOME/state"],
    ["s3://bucket", undefined],
  ])("PULUMI_BACKEND_URL=%s is %s", (url, expected) => {
    writeFileSync(join(dir, "Pulumi.yaml"), yaml);
    if (url) process.env.PULUMI_BACKEND_URL = url;
    const path = expected?.replace("PROJECT", dir).replace("HOME", environment.HOME ?? "");
    expect(pulumiProject(dir)).toEqual({ name: "gpubox", stateDir: path });
  });
});

describe("the engine", () => {
  test.each([
    ["3.244.0", true],
    ["v3.259.0", true],
    ["3.244.1-alpha.3", true],
    ["4.0.0", true],
    ["3.243.9", false],
    ["3.99.0", false],
    ["2.300.0", false],
    ["", false],
  ])("version %j is new enough: %s", (version, expected) => {
    expect(versionAtLeast(version, "3.244.0")).toBe(expected);
  });

  test("on PATH needs one line in a normal shell, one in the project needs two", () => {
    const passphrase = `export PULUMI_CONFIG_PASSPHRASE_FILE='/a b/it'\\''s/.gpubox/passphrase'`;
    const engine = { program: "pulumi", version: "3.259.0", projectDir: "/a b/it's" };
    expect(exportsFor(engine)).toEqual([passphrase]);
    expect(exportsFor({ ...engine, program: "/opt/x/bin/pulumi" })).toEqual([
      `export PATH='/opt/x/bin':"$PATH"`,
      passphrase,
    ]);
  });

  test("uses the person's own passphrase where there is one, and makes no file then", () => {
    process.env.PULUMI_CONFIG_PASSPHRASE = "";
    const engine = { program: "pulumi", version: "3.259.0", projectDir: dir };
    expect(exportsFor(engine)).toEqual([]);
    expect(pulumiEnv(engine)).toEqual({ PULUMI_SKIP_UPDATE_CHECK: "true" });
  });
});

describe("the official installer", () => {
  const serve = async (script: string, use: (url: string) => Promise<void>) => {
    const server = createServer((_, response) => response.end(script));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/install.sh`);
    } finally {
      server.close();
    }
  };
  beforeEach(() => {
    // Only the system's own tools: a `pulumi` of this machine must not be found.
    const tools = join(dir, "tools");
    mkdirSync(tools);
    const link = 'for tool in sh curl mkdir chmod cat; do ln -s "$(command -v $tool)" "$0/"; done';
    spawnSync("sh", ["-c", link, tools]);
    process.env.PATH = tools;
  });

  test("puts the pinned version into the ignored folder", async () => {
    const fake = `[ "$*" = "--no-edit-path --install-root ${dir}/.gpubox/pulumi --version 3.259.0" ] || exit 9
mkdir -p "$3/bin"; printf '#!/bin/sh\\necho v3.259.0\\n' >"$3/bin/pulumi"; chmod +x "$3/bin/pulumi"`;
    const log: string[] = [];
    await serve(fake, async (installerUrl) => {
      expect(await ensurePulumi({ projectDir: dir, log: (line) => log.push(line), installerUrl })).toEqual({
        engine: { program: `${dir}/.gpubox/pulumi/bin/pulumi`, version: "3.259.0", projectDir: dir },
      });
    });
    expect(log).toEqual(["  installing Pulumi 3.259.0 into .gpubox/pulumi …"]);
  });

  test("that fails or cannot be reached is a reason, not an error", async () => {
    await serve("echo no release for this machine; exit 3", async (installerUrl) => {
      expect(await ensurePulumi({ projectDir: dir, log: () => {}, installerUrl })).toEqual({
        engine: undefined,
        reason: "Pulumi's installer failed with exit code 3: no release for this machine",
      });
    });
    const nobody = { projectDir: dir, log: () => {}, installerUrl: "http://127.0.0.1:9/install.sh" };
    expect(await ensurePulumi(nobody)).toEqual({
      engine: undefined,
      reason: expect.stringMatching(/^Pulumi's installer cannot be fetched: curl: \(7\) .+\.$/),
    });
    rmSync(join(dir, "tools", "curl"));
    expect(await ensurePulumi(nobody)).toEqual({
      engine: undefined,
      reason: "Pulumi's installer needs curl, which is missing here (`apt-get install -y curl`).",
    });
  });
});

describe("secrets without an engine", () => {
  const store = () => ({ projectDir: dir, stack: "dev", engine: undefined });
  const names = ["masterKey", "saltKey", "cachePassword", "databasePassword"] as const;

  test("are made once, lie in a file that only this user can read, and are never logged", async () => {
    const log: string[] = [];
    await ensureSecrets({ ...store(), names, log: (line) => log.push(line) });
    const secrets = await readSecrets(store());
    expect(Object.keys(secrets)).toEqual([...names]);
    expect(secrets.masterKey).toMatch(/^sk-[\w-]{43}$/);
    expect(secrets.saltKey).toMatch(/^sk-[\w-]{43}$/);
    expect(secrets.cachePassword).toMatch(/^[\w-]{43}$/);
    expect(new Set(Object.values(secrets)).size).toBe(4);
    expect(mode(join(dir, ".gpubox", "secrets.dev.json"))).toBe("600");
    expect(log).toEqual([
      "  made the secrets masterKey, saltKey, cachePassword, databasePassword; they lie in .gpubox/secrets.dev.json",
    ]);
    await ensureSecrets({ ...store(), names, log: (line) => log.push(line) });
    expect(await readSecrets(store())).toEqual(secrets);
    expect(log).toHaveLength(1);
  });

  test("are refused where the stack's own lie encrypted in its config", async () => {
    writeFileSync(join(dir, "Pulumi.dev.yaml"), "config:\n  gpubox:saltKey:\n    secure: v1:abc\n");
    await expect(ensureSecrets({ ...store(), names, log: () => {} })).rejects.toThrow(
      new UserError(
        "Only a Pulumi engine can read gpubox:saltKey in Pulumi.dev.yaml.",
        "Install Pulumi, or write its value into .gpubox/secrets.dev.json.",
      ),
    );
  });

  test("in a broken file are not replaced by new ones, and are not quoted", async () => {
    mkdirSync(join(dir, ".gpubox"));
    writeFileSync(join(dir, ".gpubox", "secrets.dev.json"), '{"saltKey": "sk-planted"');
    await expect(ensureSecrets({ ...store(), names, log: () => {} })).rejects.toThrow(
      new UserError(
        ".gpubox/secrets.dev.json is not a JSON object of names and strings.",
        "Correct it by hand; deleting it loses the salt key, without which stored credentials cannot be read.",
      ),
    );
  });
});

describe("the program's start", () => {
  const program = join(packageDir, "bin", "gpubox.cjs");

  test("refuses Node 18 with what and what to do", () => {
    const old = `Object.defineProperty(process.versions, "node", { value: "18.20.1" }); require(${JSON.stringify(program)});`;
    expect(spawnSync(process.execPath, ["-e", old], { encoding: "utf8" })).toMatchObject({
      status: 1,
      stderr:
        "error: gpubox needs Node 20 or newer; this is Node 18.20.1.\n" +
        "       Install a newer Node (https://nodejs.org/en/download) and run the command again.\n",
    });
  });

  test("refuses a checkout without its packages", () => {
    for (const folder of ["bin", "cli"]) mkdirSync(join(dir, folder));
    writeFileSync(join(dir, "cli/main.ts"), "");
    const copy = join(dir, "bin", "gpubox.cjs");
    writeFileSync(copy, readFileSync(program));
    expect(spawnSync(process.execPath, [copy], { encoding: "utf8" })).toMatchObject({
      status: 1,
      stderr:
        "error: The project's packages are not installed.\n       Run `npm ci` in the project's folder first.\n",
    });
  });
});
