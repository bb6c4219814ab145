import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Trust, withChecked } from "../../../../operations/backup/checked";
import { DUMP, factsOf, MANIFEST, readManifest, writeManifest } from "../../../../operations/backup/manifest";
import { SIGNATURE, signatureOf } from "../../../../operations/backup/signature";
import { runs } from "../../../support/runs";

const KEY = "a1".repeat(32);
const SIGNED: Trust = { signingKey: KEY };
const UNSIGNED: Trust = { signingKey: KEY, unsigned: true };
const ABOUT = {
  stack: "dev",
  madeAt: "2026-11-28T12:00:00.000Z",
  reason: "by hand",
  saltFingerprint: "0123456789abcdef",
  postgres: "17.5",
  tables: { "public.LiteLLM_TeamTable": { rows: 1, sum: "-7" } },
};

let root: string;
let staging: string;
let backup: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "gpubox-trust-"));
  staging = join(root, "staging");
  backup = join(root, "backup");
  mkdirSync(staging);
  mkdirSync(backup);
  writeFileSync(join(backup, DUMP), "PGDMP of some tables");
  writeFileSync(join(backup, "stack.yaml"), "config: {}\n");
  writeFileSync(join(backup, "gateway-config.yaml"), "model_list: []\n");
  await writeManifest(backup, ABOUT, KEY);
});
afterEach(() => rmSync(root, { recursive: true }));

/** What is read of the backup; an error where it is refused. Nothing may stay of its copy. */
async function read(trust: Trust): Promise<string> {
  try {
    return await withChecked(staging, backup, trust, async ({ folder, signed }) => {
      const files = readdirSync(folder)
        .sort()
        .map((name) => readFileSync(join(folder, name), "utf8"));
      return `${signed}: ${files.join("|")}`;
    });
  } finally {
    expect(readdirSync(staging)).toEqual([]);
  }
}

const at = (name: string) => join(backup, name);
const everyFile = [MANIFEST, SIGNATURE, DUMP, "stack.yaml", "gateway-config.yaml"];
const WHOLE = "PGDMP of some tables|model_list: []\n|config: {}\n";

/** As the first format had it: no signature, and a digest of the dump alone. */
async function makeOld(more: Record<string, unknown> = {}): Promise<void> {
  const old = { ...ABOUT, ...(await factsOf(at(DUMP))), ...more };
  writeFileSync(at(MANIFEST), JSON.stringify(old));
  rmSync(at(SIGNATURE), { force: true });
}

test("a backup as it was written is read, with or without --unsigned", async () => {
  expect(await read(SIGNED)).toBe(`true: ${WHOLE}`);
  expect(await read(UNSIGNED)).toBe(`true: ${WHOLE}`);
});

test("a change of any byte in any file is refused, even with --unsigned", async () => {
  const contents = Object.fromEntries(everyFile.map((name) => [name, readFileSync(at(name))]));
  const change = fc.constantFrom(...everyFile).chain((name) =>
    fc.record({
      name: fc.constant(name),
      at: fc.nat(contents[name]!.length - 1),
      by: fc.integer({ min: 1, max: 255 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(change, async ({ name, at: index, by }) => {
      const bytes = Buffer.from(contents[name]!);
      bytes[index]! ^= by;
      writeFileSync(at(name), bytes);
      await expect(read(SIGNED)).rejects.toThrow(/its signature is wrong|is damaged/);
      await expect(read(UNSIGNED)).rejects.toThrow(/its signature is wrong|is damaged/);
      writeFileSync(at(name), contents[name]!);
    }),
    runs(60),
  );
  expect(await read(SIGNED)).toBe(`true: ${WHOLE}`);
});

test("any file that became shorter or longer is refused", async () => {
  for (const name of everyFile)
    for (const length of [-1, 1]) {
      const whole = readFileSync(at(name));
      truncateSync(at(name), whole.length + length);
      await expect(read(SIGNED)).rejects.toThrow(/its signature is wrong|is damaged/);
      writeFileSync(at(name), whole);
    }
});

test("a dump with a terabyte of zeros appended is refused without being read", async () => {
  truncateSync(at(DUMP), 2 ** 40);
  await expect(read(SIGNED)).rejects.toThrow("is damaged");
});

test("a signature of another salt key is wrong", async () => {
  await expect(read({ signingKey: "b2".repeat(32) })).rejects.toThrow(
    `The backup ${backup} was changed, or was made with another salt key: its signature is wrong.`,
  );
});

test("one without its signature is refused unless the user allows it", async () => {
  rmSync(at(SIGNATURE));
  await expect(read(SIGNED)).rejects.toThrow("is not signed");
  expect(await read(UNSIGNED)).toBe(`false: ${WHOLE}`);
});

test("one from before signatures is refused unless the user allows it, and then only its dump is read", async () => {
  await makeOld();
  await expect(read(SIGNED)).rejects.toThrow("is not signed");
  expect(await read(UNSIGNED)).toBe("false: PGDMP of some tables");
  writeFileSync(at(DUMP), "PGDMP of some tab1es");
  await expect(read(UNSIGNED)).rejects.toThrow("is damaged");
});

describe("a file that is not a plain file of its own is refused, signed or not", () => {
  const away = () => join(root, "away");
  const tricks: [string, (path: string) => void, string][] = [
    ["link", (path) => symlinkSync(away(), path), "is a link"],
    ["link to itself", (path) => symlinkSync(path, path), "is a link"],
    ["second name of another file", (path) => linkSync(away(), path), "has another name too"],
    ["pipe", (path) => void spawnSync("mkfifo", [path]), "is not a plain file"],
    ["directory", (path) => mkdirSync(path), "is not a plain file"],
  ];
  for (const [what, make, words] of tricks)
    test.each(everyFile)(`${what} as %s`, async (name) => {
      // The same content as before, so that nothing but the kind of the file speaks against it.
      renameSync(at(name), away());
      make(at(name));
      await expect(read(SIGNED)).rejects.toThrow(`${name} in the backup ${backup} ${words}.`);
      await expect(read(UNSIGNED)).rejects.toThrow(words);
    });
});

test.each(["x", ".hidden", "database.dump.1", "toc.dat"])("a foreign file %s is refused", async (name) => {
  copyFileSync(at(DUMP), at(name));
  await expect(read(SIGNED)).rejects.toThrow(`contains a file that its manifest does not list: "${name}"`);
});

test.each(everyFile)("one that lacks %s is refused", async (name) => {
  rmSync(at(name));
  await expect(read(SIGNED)).rejects.toThrow(/contains no backup|is not signed|is missing/);
});

/** Even where somebody has the key, or --unsigned is said, nothing in a manifest leads elsewhere or reaches a shell or a terminal. */
test.each<[string, Record<string, unknown>]>([
  ["a path that leads up", { files: { "../../etc/passwd": { bytes: 1, sha256: "0".repeat(64) } } }],
  ["an absolute path", { files: { "/etc/passwd": { bytes: 1, sha256: "0".repeat(64) } } }],
  ["no dump", { files: {} }],
  ["a stack that is an option", { stack: "--privileged" }],
  ["a stack that is a path", { stack: "../x" }],
  ["a stack with a command", { stack: "a;id" }],
  ["a reason that steers a terminal", { reason: "\u001b]0;x\u0007" }],
  ["a reason of two lines", { reason: "by hand\nyes" }],
  ["a reason that turns the line around", { reason: "\u202eby hand" }],
  ["a table that steers a terminal", { tables: { "\u001b[2J": { rows: 0, sum: "0" } } }],
  ["rows that are none", { tables: { t: { rows: -1, sum: "0" } } }],
  ["a moment that is none", { madeAt: "../../x" }],
  ["a format to come", { format: 3 }],
  ["something unknown", { run: "id" }],
])("a manifest with %s is refused although it is signed", async (_what, change) => {
  const manifest = { ...JSON.parse(readFileSync(at(MANIFEST), "utf8")), ...change };
  writeFileSync(at(MANIFEST), JSON.stringify(manifest));
  writeFileSync(at(SIGNATURE), signatureOf(readFileSync(at(MANIFEST)), KEY));
  await expect(read(SIGNED)).rejects.toThrow("cannot be read");
});

test("any text in place of a manifest is an error for people, not a crash", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      writeFileSync(at(MANIFEST), text);
      expect(() => readManifest(backup, KEY).parse()).toThrow("cannot be read. Take another backup.");
    }),
  );
});

test("only this user can read the lent copy", async () => {
  chmodSync(at(DUMP), 0o666);
  const mode = await withChecked(staging, backup, SIGNED, async ({ folder }) =>
    spawnSync("stat", ["-c", "%a", folder, join(folder, DUMP)]).stdout.toString(),
  );
  expect(mode).toBe("700\n600\n");
});
