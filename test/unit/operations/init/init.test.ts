import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { parseStack } from "../../../../configs/parse";
import { initProject } from "../../../../operations/init/init";
import { TEMPLATE } from "../../../../operations/init/template";
import { UserError } from "../../../../platform/process";
import { packageDir } from "../../../../platform/project";
import { readModelLock } from "../../../../platform/stack/modelLock";
import { packageVersion } from "../../../../platform/versions";
import { rawStack } from "../../../support/stacks";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-init-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const read = (...path: string[]) => readFileSync(join(dir, ...path), "utf8");
const template = (name: string) => readFileSync(join(packageDir, "templates/project", name), "utf8");
const manifest = z.looseObject({
  name: z.string().optional(),
  dependencies: z.record(z.string(), z.string()),
});
const manifestIn = (...path: string[]) => manifest.parse(JSON.parse(read(...path, "package.json")));

/** Every path below the folder with its text. */
function tree(): Record<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [
      join(parentPath, name),
      readFileSync(join(parentPath, name), "utf8"),
    ]),
  );
}

/** What initProject refuses with. */
function refusal(target: string): UserError {
  try {
    initProject(target);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

test("a new folder gets each file of the template, and a manifest with what the program needs", () => {
  const made = initProject(join(dir, "My Box"));
  expect(made).toEqual({
    dir: join(dir, "My Box"),
    files: [...Object.keys(TEMPLATE), "package.json"].sort(),
  });
  for (const [name, from] of Object.entries(TEMPLATE)) expect(read("My Box", name)).toBe(template(from));
  const { devDependencies, dependencies } = JSON.parse(
    readFileSync(join(packageDir, "package.json"), "utf8"),
  );
  expect(manifestIn("My Box")).toEqual({
    private: true,
    name: "my-box",
    dependencies: {
      "@pulumi/command": devDependencies["@pulumi/command"],
      "@pulumi/docker": devDependencies["@pulumi/docker"],
      "@pulumi/pulumi": devDependencies["@pulumi/pulumi"],
      tsx: dependencies.tsx,
      gpubox: `^${packageVersion()}`,
    },
  });
});

test("the new project's dev stack has no mistake against its lock", () => {
  initProject(dir);
  const { config } = parse(read("Pulumi.dev.yaml")) as { config: Record<string, unknown> };
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^gpubox:/, ""), value]),
  );
  const stack = parseStack({ ...rawStack(values), stack: "dev", lock: readModelLock(dir) });
  expect(Object.keys(stack.models)).toEqual(["tiny"]);
});

test("next to files of npm and git, an existing manifest keeps its content", () => {
  const present = {
    name: "ours",
    type: "commonjs",
    dependencies: { gpubox: "file:gpubox-9.9.9.tgz", left: "1.0.0" },
  };
  writeFileSync(join(dir, "package.json"), JSON.stringify(present));
  for (const name of ["package-lock.json", "gpubox-9.9.9.tgz"]) writeFileSync(join(dir, name), "{}");
  for (const name of ["node_modules", ".git"]) mkdirSync(join(dir, name));
  initProject(dir);
  const made = manifestIn();
  expect(made).toMatchObject({ ...present, private: true });
  expect(made.dependencies["@pulumi/pulumi"]).toMatch(/^\d/);
});

test.each([
  ["one file", ["notes.txt"], "holds notes.txt."],
  ["files", ["a", "b", "c", "d"], "holds a, b, c and more."],
  ["another project", ["Pulumi.yaml", "package.json"], "holds Pulumi.yaml."],
])("a folder with %s is refused, and nothing in it changes", (_, names, what) => {
  for (const name of names) writeFileSync(join(dir, name), "{}");
  const before = tree();
  const { what: said, fix } = refusal(dir);
  expect(said).toBe(`${dir} is not empty: it ${what}`);
  expect(fix).toBe("Name an empty folder, or one that does not exist yet.");
  expect(tree()).toEqual(before);
});

test("a file in the folder's place is refused", () => {
  writeFileSync(join(dir, "box"), "mine");
  expect(refusal(join(dir, "box")).what).toBe(`${join(dir, "box")} is not a folder that you can read.`);
  expect(read("box")).toBe("mine");
});

test.each(["{", "[]", '{"dependencies": {"gpubox": 1}}'])(
  "a package.json of %j is refused, and nothing is written",
  (text) => {
    writeFileSync(join(dir, "package.json"), text);
    expect(refusal(dir).what).toBe(`${join(dir, "package.json")} is not the JSON of a package.`);
    expect(Object.values(tree())).toEqual([text]);
  },
);

test.each([
  ["file:../gpubox.tgz", "file:../../gpubox.tgz"],
  ["file:/srv/gpubox.tgz", "file:/srv/gpubox.tgz"],
  ["^0.1.0", "^0.1.0"],
  ["github:acme/gpubox#main", "github:acme/gpubox#main"],
])("gpubox that was installed as %s becomes %s one folder deeper", (spec, expected) => {
  const installed = join(dir, "host/node_modules/gpubox");
  mkdirSync(installed, { recursive: true });
  cpSync(join(packageDir, "templates"), join(installed, "templates"), { recursive: true });
  cpSync(join(packageDir, "package.json"), join(installed, "package.json"));
  writeFileSync(join(dir, "host/package.json"), JSON.stringify({ dependencies: { gpubox: spec } }));
  initProject(join(dir, "host/box"), installed);
  expect(manifestIn("host/box").dependencies.gpubox).toBe(expected);
});

test("what a template copies is the same as in this repository", () => {
  const own = (name: string) => readFileSync(join(packageDir, name), "utf8");
  expect(template("preview.yml")).toBe(own(".github/workflows/preview.yml"));
  const [stack, example] = [template("stack.yaml"), own("Pulumi.dev.example.yaml")].map((text) =>
    parse(text),
  );
  expect(stack).toEqual(example);
  const [project, ours] = [template("Pulumi.yaml"), own("Pulumi.yaml")].map((text) => parse(text));
  expect({ ...project, description: "" }).toEqual({ ...ours, description: "" });
  // One program in a checkout and in a project: only the place that it imports from differs.
  expect(template("index.ts").replace('"gpubox"', '"./program/stackProgram"')).toBe(own("index.ts"));
});
