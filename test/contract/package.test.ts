import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { TEMPLATE } from "../../operations/init/template";
import manifest from "../../package.json";
import { packageDir } from "../../platform/project";
import { bundleIfStale } from "../../tools/bundle.cjs";

const packs = z.array(z.object({ unpackedSize: z.number(), files: z.array(z.object({ path: z.string() })) }));

let files: string[];
let unpackedSize: number;

beforeAll(() => {
  bundleIfStale();
  const { stdout } = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: packageDir,
    encoding: "utf8",
  });
  const [pack] = packs.parse(JSON.parse(stdout));
  files = pack!.files.map(({ path }) => path);
  unpackedSize = pack!.unpackedSize;
});

test("the package has what it runs and writes, and nothing of the tests", () => {
  const needed = [
    ...["bin/gpubox.cjs", "dist/gpubox.cjs", "dist/index.cjs", "dist/jobs.cjs"],
    ...["stack.schema.json", "images/lock.json", "pulumi.lock.json", "CHANGELOG.md", "LICENSE"],
    ...Object.values(TEMPLATE).map((name) => `templates/project/${name}`),
  ];
  expect(files).toEqual(expect.arrayContaining(needed));
  const foreign = files.filter((path) =>
    /\.map$|^(test|tools|cli|configs)\/|__pycache__|\.test\./.test(path),
  );
  expect(foreign).toEqual([]);
});

test("every file of a template and of an asset is in git's checkout too", () => {
  const tracked = spawnSync("git", ["ls-files", "templates", "assets"], {
    cwd: packageDir,
    encoding: "utf8",
  });
  const known = new Set(tracked.stdout.split("\n"));
  const packed = files.filter((path) => /^(templates|assets)\//.test(path));
  expect(packed.filter((path) => !known.has(path))).toEqual([]);
  for (const name of Object.values(TEMPLATE)) expect(known).toContain(`templates/project/${name}`);
});

test("the package stays small", () => {
  expect(unpackedSize).toBeLessThan(12 * 1024 ** 2);
});

test("each entry of the manifest leads to a file that the build makes", () => {
  for (const entry of Object.values(manifest.exports)) {
    const path = typeof entry === "string" ? entry : entry.default;
    expect([path, existsSync(join(packageDir, path))]).toEqual([path, true]);
  }
});

test.each([
  ["gpubox", ["ModelServer", "stackProgram"]],
  ["gpubox/jobs", ["listJobs", "pruneJobs", "readJobKey", "renderJob", "showJob", "startJob", "stopJob"]],
])("`%s` exports what its page says", (name, names) => {
  const text = `process.stdout.write(JSON.stringify(Object.keys(require("${name}")).sort()))`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", text], { cwd: packageDir, encoding: "utf8" });
  expect([JSON.parse(stdout), stderr]).toEqual([names, ""]);
});
