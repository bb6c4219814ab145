import { spawnSync } from "node:child_process";
import { packageDir } from "../../platform/project";

/** What a Node process prints that has Pulumi's SDK. */
function node(script: string, ...options: string[]): unknown {
  const program = `const pulumi = require("@pulumi/pulumi"); const os = require("node:os"); ${script}`;
  const { stdout, stderr } = spawnSync(process.execPath, [...options, "--no-deprecation", "-e", program], {
    cwd: packageDir,
    encoding: "utf8",
  });
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout);
}

const lazy = ["--require", "gpubox/lazySdk"];
const loaded = `console.log(JSON.stringify(
  ["typescript", "@npmcli/arborist"].filter((name) => name in Object.fromEntries(
    Object.keys(require.cache).map((path) => [/.*node_modules.((?:@[^\\/]+.)?[^\\/]+)/.exec(path)?.[1], path])))))`;

test("without the preload, the SDK loads a compiler and an npm client at each start", () => {
  expect(node(loaded)).toEqual(["typescript", "@npmcli/arborist"]);
});

test("with it, it loads neither", () => {
  expect(node(loaded, ...lazy)).toEqual([]);
});

test("a function is serialised just the same: both are loaded when something asks", () => {
  const serialise = `const port = 4000;
    pulumi.runtime.serializeFunction(() => os.platform() + port).then(({ text }) => console.log(JSON.stringify(text)))`;
  const text = node(serialise, ...lazy);
  expect(text).toContain("port");
  expect(text).toBe(node(serialise));
});

test("the packages of a program are found just the same", () => {
  const paths = `pulumi.runtime.computeCodePaths().then((all) => console.log(JSON.stringify([...all.keys()].sort())))`;
  const found = node(paths, ...lazy);
  expect(found).toEqual(node(paths));
  expect(found).not.toEqual([]);
});

test("a checkout's program is the bundle, and none of its sources is loaded", () => {
  // There is no stack, so the program itself refuses.
  const files = `try { require("./index.ts") } catch {}
    console.log(JSON.stringify(Object.keys(require.cache).map((path) => require("node:path").relative(".", path))))`;
  const own = (node(files, ...lazy, "--import", "tsx") as string[]).filter(
    (path) => !/^(node_modules|tools|bin)\//.test(path),
  );
  expect(own).toEqual(["dist/index.cjs"]);
});
