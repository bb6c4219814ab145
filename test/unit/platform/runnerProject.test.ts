import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../../platform/process";
import { ensurePassphrase, ensureStackConfig, packageDir, pulumiProject } from "../../../platform/project";
import {
  ensurePulumi,
  exportsFor,
  minimumPulumi,
  pinnedPulumi,
  pulumiEnv,
} from "../../../platform/pulumi/engine";
import { ensureSecrets, readSecrets, setNames } from "../../../platform/stack/secrets";
import { versionAtLeast } from "../../../platform/versions";

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

  test("uses the person's own passphrase if there is one, and then creates no file", () => {
    process.env.PULUMI_CONFIG_PASSPHRASE = "";
    const engine = { program: "pulumi", version: "3.259.0", projectDir: dir };
    expect(exportsFor(engine)).toEqual([]);
    expect(pulumiEnv(engine)).toEqual({ PULUMI_SKIP_UPDATE_CHECK: "true", GOGC: "400" });
  });
});

describe("an engine that is installed", () => {
  const platform = `${process.platform}-${process.arch}`;
  const archiveName = `pulumi-v3.259.0-${platform}.tar.gz`;
  let archive: Buffer;
  let sum: string;
  let asked: string[];

  beforeEach(() => {
    asked = [];
    const made = join(dir, "made");
    mkdirSync(join(made, "pulumi"), { recursive: true });
    writeFileSync(join(made, "pulumi/pulumi"), "#!/bin/sh\necho v3.259.0\n", { mode: 0o755 });
    expect(spawnSync("tar", ["-czf", join(made, "a.tar.gz"), "-C", made, "pulumi"]).status).toBe(0);
    archive = readFileSync(join(made, "a.tar.gz"));
    sum = createHash("sha256").update(archive).digest("hex");
    // Only the system's own tools: a `pulumi` of this machine must not be found.
    const tools = join(dir, "tools");
    mkdirSync(tools);
    const link = 'for tool in sh curl tar gzip; do ln -s "$(command -v $tool)" "$0/"; done';
    spawnSync("sh", ["-c", link, tools]);
    process.env.PATH = tools;
  });

  /** Installs from a server of this test, which has the archive and a list of checksums. */
  async function install(list: string | undefined, pinned: Record<string, string> = {}) {
    const server = createServer((request, response) => {
      asked.push(request.url!);
      if (request.url === `/archives/${archiveName}`) response.end(archive);
      else if (request.url === "/lists/v3.259.0/pulumi-3.259.0-checksums.txt" && list !== undefined)
        response.end(list);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return await ensurePulumi({
        ...{ projectDir: dir, log: () => {}, lock: { version: "3.259.0", sha256: pinned } },
        sources: { archives: `${base}/archives`, checksums: `${base}/lists` },
      });
    } finally {
      server.close();
    }
  }
  const installed = () => existsSync(join(dir, ".gpubox/pulumi"));
  const left = () => readdirSync(join(dir, ".gpubox")).filter((name) => name.startsWith("pulumi-"));
  const engine = () => ({
    engine: { program: `${dir}/.gpubox/pulumi/bin/pulumi`, version: "3.259.0", projectDir: dir },
  });

  test("has the lock's checksum, and then no list is fetched", async () => {
    expect(await install(undefined, { [platform]: sum })).toEqual(engine());
    expect(asked).toEqual([`/archives/${archiveName}`]);
    expect(left()).toEqual([]);
  });

  test("has the checksum from its release's list when the lock has none", async () => {
    expect(await install(`${"0".repeat(64)}  other.tar.gz\n${sum}  ${archiveName}\n`)).toEqual(engine());
  });

  test.each<[string, string | undefined, Record<string, string>, RegExp]>([
    [
      "another checksum in the lock",
      undefined,
      { [platform]: "0".repeat(64) },
      /is not the released file: its SHA-256 is [0-9a-f]{64} instead of 0{64}/,
    ],
    ["another checksum in the list", `${"0".repeat(64)}  ${archiveName}\n`, {}, /is not the released file/],
    ["no checksum at all", "", {}, /has no checksum of .*, and pulumi\.lock\.json has none/],
    ["a list that cannot be had", undefined, {}, /cannot be fetched: curl: \(22\)/],
  ])("is none with %s: nothing of it runs or stays", async (_, list, pinned, reason) => {
    const result = await install(list, pinned);
    expect(result).toEqual({ engine: undefined, reason: expect.stringMatching(reason) });
    expect([installed(), left()]).toEqual([false, []]);
  });

  test("is missing, with a reason and no error, when the release is not an archive or curl is missing", async () => {
    archive = Buffer.from("PLANTED");
    const broken = createHash("sha256").update(archive).digest("hex");
    expect(await install(undefined, { [platform]: broken })).toEqual({
      engine: undefined,
      reason: expect.stringMatching(/^Pulumi 3\.259\.0 cannot be installed: it cannot be unpacked: /),
    });
    expect([installed(), left()]).toEqual([false, []]);
    rmSync(join(dir, "tools", "curl"));
    expect(await install(undefined)).toEqual({
      engine: undefined,
      reason: "Pulumi 3.259.0 cannot be installed: curl is not installed (`apt-get install -y curl`).",
    });
  });

  test("is new enough for gpubox, and the same as the workflow's", () => {
    expect(versionAtLeast(pinnedPulumi, minimumPulumi)).toBe(true);
  });
});

describe("secrets without an engine", () => {
  const store = () => ({ projectDir: dir, stack: "dev", engine: undefined });
  const names = ["masterKey", "saltKey", "cachePassword", "databasePassword"] as const;

  test("are made once, stored in a file that only this user can read, and are never logged", async () => {
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
      "  made the secrets masterKey, saltKey, cachePassword, databasePassword; they are in .gpubox/secrets.dev.json",
    ]);
    await ensureSecrets({ ...store(), names, log: (line) => log.push(line) });
    expect(await readSecrets(store())).toEqual(secrets);
    expect(log).toHaveLength(1);
  });

  test("that a person wrote into the file count like those that gpubox made, and only this user can read them then", async () => {
    writeFileSync(join(dir, "Pulumi.dev.yaml"), "config: {}\n");
    mkdirSync(join(dir, ".gpubox"));
    const path = join(dir, ".gpubox", "secrets.dev.json");
    writeFileSync(path, '{"providerKey": "planted"}', { mode: 0o644 });
    expect(setNames(dir, "dev")).toEqual(["providerKey"]);
    expect(await ensureSecrets({ ...store(), names: [], log: () => {} })).toEqual({ providerKey: "planted" });
    expect(mode(path)).toBe("600");
    const made = await ensureSecrets({ ...store(), names: ["masterKey"], log: () => {} });
    expect(Object.keys(made)).toEqual(["providerKey", "masterKey"]);
  });

  test("are refused when the stack's config has encrypted ones", async () => {
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
        "error: gpubox needs Node 20.12 or newer; this is Node 18.20.1.\n" +
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
