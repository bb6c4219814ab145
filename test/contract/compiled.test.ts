import { spawnSync } from "node:child_process";
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { testNeeds } from "../support/needs";

const HELPER = join(packageDir, "bin/compiled.cjs");

let folder: string;
let bundle: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpubox-compiled-"));
  bundle = join(folder, "program.cjs");
});
afterEach(() => rmSync(folder, { recursive: true }));

const cache = (...names: string[]) => join(folder, "cache", "gpubox", ...names);
const kept = () => readdirSync(cache()).sort();

/** Runs a bundle that says a word; all of one length, by which alone V8 would tell their texts apart. */
function says(word: "one" | "two" | "six", ...words: string[]) {
  writeFileSync(
    bundle,
    `const say = () => "${word}"; console.log(say(), __filename === ${JSON.stringify(bundle)});\n`,
  );
  const start = `require(${JSON.stringify(HELPER)}).keepCompiled(${JSON.stringify(bundle)}); require(${JSON.stringify(bundle)})`;
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", start, "x", ...words], {
    encoding: "utf8",
    env,
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

test("a program starts from what V8 compiled in an earlier run", () => {
  expect(says("one", "plan")).toBe("one true");
  const [one] = kept();
  expect(says("two", "plan")).toBe("two true");
  const two = kept().find((name) => name !== one)!;
  // The next start of the second would say its own word if it were compiled anew.
  copyFileSync(cache(one!), cache(two));
  expect(says("two", "plan")).toBe("one true");
});

test("a text that changed is compiled, whatever its length and its time", () => {
  expect([says("one", "plan"), says("two", "plan"), says("one", "plan")]).toEqual([
    "one true",
    "two true",
    "one true",
  ]);
  expect(kept()).toHaveLength(2);
});

test("a kept file that is damaged is compiled anew, and replaced", () => {
  says("one", "plan");
  const [one] = kept();
  writeFileSync(cache(one!), "damaged");
  expect(says("one", "plan")).toBe("one true");
  says("two", "plan");
  const two = kept().find((name) => name !== one)!;
  copyFileSync(cache(one!), cache(two));
  expect(says("two", "plan")).toBe("one true");
});

test("a start that shows its usage keeps nothing, because it used little of the program", () => {
  says("one", "plan", "--help");
  expect(() => kept()).toThrow("ENOENT");
});

test("a folder that cannot be made is no error", () => {
  writeFileSync(join(folder, "cache"), "");
  expect(says("one", "plan")).toBe("one true");
});

testNeeds("root")("a kept file of another user is not run", () => {
  says("one", "plan");
  const [one] = kept();
  says("two", "plan");
  const two = kept().find((name) => name !== one)!;
  copyFileSync(cache(one!), cache(two));
  chownSync(cache(two), 65534, 65534);
  expect(says("two", "plan")).toBe("two true");
});

test("of many versions the last eight are kept", () => {
  mkdirSync(cache(), { recursive: true });
  for (let age = 0; age < 12; age++) writeFileSync(cache(`program-${age}.compiled`), "");
  writeFileSync(cache("another-0.compiled"), "");
  says("one", "plan");
  expect(kept().filter((name) => name.startsWith("program-"))).toHaveLength(8);
  expect(kept()).toContain("another-0.compiled");
});
