// Bundles the program `gpubox` into dist/: for `npm pack`, for tests, and for bin/gpubox.cjs in a checkout.
const { existsSync, readdirSync, statSync } = require("node:fs");
const { join } = require("node:path");

const root = join(__dirname, "..");
const target = join(root, "dist", "gpubox.cjs");
/** What the program is made of. */
const SOURCES = ["cli", "components", "configs", "operations", "platform", "program", "package.json"];

/** Writes the program, dist/gpubox.cjs, and what others import: dist/index.cjs for Pulumi programs, dist/jobs.cjs for harnesses. */
function bundle() {
  require("esbuild").buildSync({
    absWorkingDir: root,
    entryPoints: { gpubox: "cli/main.ts", index: "program/index.ts", jobs: "operations/jobs/index.ts" },
    outdir: "dist",
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    sourcemap: "linked",
    // Two copies of Pulumi's SDK in one process do not know each other.
    external: ["@pulumi/*"],
    legalComments: "none",
    logLevel: "warning",
  });
}

/** Bundles only where a source is newer than the bundle. */
function bundleIfStale() {
  const sources = SOURCES.map((name) => join(root, name));
  if (!existsSync(target) || Math.max(...sources.map(newest)) > statSync(target).mtimeMs) bundle();
}

/** Modification time of a file, or of the newest one under a folder, in milliseconds. */
function newest(file) {
  const stat = statSync(file);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(...readdirSync(file).map((name) => newest(join(file, name))));
}

module.exports = { bundleIfStale };
if (require.main === module) bundle();
