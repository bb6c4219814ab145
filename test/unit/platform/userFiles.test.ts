import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { z } from "zod";
import { ConfigError } from "../../../configs/kit/problems";
import { yamlValue } from "../../../configs/kit/yamlText";
import { parseStack } from "../../../configs/parse";
import { parseTemplate } from "../../../operations/jobs/template";
import { planSide } from "../../../operations/preview/side";
import { UserError } from "../../../platform/process";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { repositoryResolved } from "../../../platform/stack/resolved";
import { encryptedNames } from "../../../platform/stack/secrets";
import { readStackFile, rememberedHost } from "../../../platform/stack/stackConfig";
import { readJsonFile, readText } from "../../../platform/userFiles";
import { runs } from "../../support/runs";
import { testSecrets } from "../../support/stacks";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gpubox-files-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const known = { resolved: repositoryResolved(packageDir), assets: loadAssets(packageDir) };

/** Every way in which a verb reads a stack's file. A person's mistake comes out as words, and nothing else does. */
function outcome(text: string | Buffer): string {
  writeFileSync(join(folder, "Pulumi.x.yaml"), text);
  const ways = [
    () => parseStack(readStackFile(folder, "x", testSecrets)),
    () => planSide(folder, "x", known),
    () => encryptedNames(folder, "x"),
  ];
  const said = ways.map((way) => {
    try {
      way();
      return "";
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UserError) return error.message;
      throw error;
    }
  });
  return said[0]!;
}

/** Aliases that double nine times. */
const bomb = `a0: &a0 [x, x]\n${Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]\n`).join("")}`;

test.each<[string, string | Buffer, RegExp]>([
  [
    "a bomb of aliases",
    bomb,
    /^Pulumi\.x\.yaml is YAML that cannot be read: its aliases or its levels are too many\. /,
  ],
  [
    "an alias inside of what it names",
    "config: &a\n  b: *a\n",
    /^Pulumi\.x\.yaml is nested deeper than 64 levels\. /,
  ],
  [
    "a list of keys",
    "config: [1,2]",
    /^Pulumi\.x\.yaml is not a stack file: its `config` is not a map of keys\. /,
  ],
  ["a word", 'config: "x"', /^Pulumi\.x\.yaml is not a stack file/],
  ["a number", "7", /^Pulumi\.x\.yaml is not a stack file/],
  ["brackets without an end", "[".repeat(50_000), /^Pulumi\.x\.yaml is /],
  ["many levels", `${"[".repeat(500)}${"]".repeat(500)}`, /^Pulumi\.x\.yaml is nested deeper than 64 levels/],
  [
    "bytes that are no text",
    Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    /^Pulumi\.x\.yaml is not text in UTF-8\. /,
  ],
  ["more than a person writes", "#".repeat(5_000_000), /^Pulumi\.x\.yaml has 5000000 bytes, more than /],
  [
    "a team that two entries declare",
    "config:\n  gpubox:access:\n    teams:\n      research: { budgetUsd: 1 }\n      other: {}\n      research: { budgetUsd: 2 }\n",
    /^Pulumi\.x\.yaml has config\.gpubox:access\.teams\.research twice, the second time at line 6\. /,
  ],
  ["a broken line", "config:\n  a: [", /^Pulumi\.x\.yaml is no valid YAML at line 2/],
])("%s is said in words", (_, text, words) => {
  expect(outcome(text)).toMatch(words);
});

test("any YAML for a stack is either a config or a person's mistake", () => {
  const keys = fc.constantFrom(
    ...["models", "gateway", "host", "cache", "access", "jobs", "boxes", "policy", "masterKey", "odd"],
    ...["__proto__", "constructor", "toString", ""],
  );
  const inner = fc.constantFrom(
    ...[
      "engine",
      "baseUrl",
      "instances",
      "secret",
      "keys",
      "settings",
      "litellm",
      "env",
      "callbacks",
      "aliases",
    ],
    ...["upstream", "docker", "gpus", "__proto__", "hasOwnProperty", "0"],
  );
  const word = fc.constantFrom(
    "openai",
    "llamacpp",
    "cloud",
    "http://a/v1",
    "sk-x",
    "unix:///x y;z",
    "",
    "\u0000",
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(
        word,
        fc.string({ unit: "binary", maxLength: 6 }),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.dictionary(fc.oneof(inner, fc.string({ maxLength: 5 })), tie("value"), { maxKeys: 4 }),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
  }));
  const file = fc.dictionary(keys, value, { maxKeys: 4 }).map((config) => {
    const named = Object.entries(config).map(([key, inside]) => [`gpubox:${key}`, inside]);
    return stringify({ config: Object.fromEntries(named) });
  });
  fc.assert(
    fc.property(file, (text) => void outcome(text)),
    runs(60),
  );
});

test("any text is either a file or a mistake", () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(..."config:gpubox[]{}&*!|>-?#%@`'\"\\,: \n\t~0a"), maxLength: 60 }),
    fc.string({ unit: "binary" }),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(text, (written) => {
      outcome(written);
      const said = parseTemplate(String(written), "x");
      expect("problem" in said || typeof said.settings === "object").toBe(true);
    }),
    runs(60),
  );
});

test("a template that is a YAML bomb is refused, like a stack's file", () => {
  const found = parseTemplate(bomb, "gpubox:jobs.a.configTemplate");
  expect("problem" in found && found.problem.what).toMatch(/^The template is YAML that cannot be read/);
});

test("a file with a few aliases stays readable", () => {
  expect(yamlValue("a: &a { b: 1 }\nc: *a\nd: *a\n")).toEqual({
    value: { a: { b: 1 }, c: { b: 1 }, d: { b: 1 } },
  });
});

test("a folder, a loop of links and a missing file are reported in plain words", () => {
  mkdirSync(join(folder, "Pulumi.dir.yaml"));
  symlinkSync("loop", join(folder, "loop"));
  const said = (name: string) => {
    try {
      return readText(join(folder, name));
    } catch (error) {
      return error instanceof UserError ? error.what : error;
    }
  };
  expect([said("Pulumi.dir.yaml"), said("loop"), said("none")]).toEqual([
    "Pulumi.dir.yaml is not a file.",
    "loop cannot be read (ELOOP).",
    "none cannot be read (ENOENT).",
  ]);
  expect(() => readStackFile(folder, "dir", {})).toThrow(UserError);
  expect(() => rememberedHost(folder, "none")).toThrow(UserError);
});

test("a broken record is reported without quoting it", () => {
  const path = join(folder, "record.json");
  const said = (text: string) => {
    writeFileSync(path, text);
    expect(() => readJsonFile(path, z.object({ a: z.string() }))).toThrow(UserError);
    expect(() => readJsonFile(path, z.object({ a: z.string() }))).not.toThrow(/PLANTED/);
  };
  for (const text of ["", "PLANTED", '{"a": PLANTED}', '{"a": 1, "b": "PLANTED"}', "[1]"]) said(text);
  writeFileSync(path, '{"a":"b"}');
  expect(readJsonFile(path, z.object({ a: z.string() }))).toEqual({ a: "b" });
});
