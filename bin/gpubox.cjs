#!/usr/bin/env node
// Starts the bundled program. In a checkout the bundle is made anew first when a source is newer.
// Only syntax and modules that Node 14 knows, so that an old Node is told what is missing.
// biome-ignore-start lint/style/useNodejsImportProtocol: Node 14.17 and older do not know `node:`
const fs = require("fs");
const path = require("path");
// biome-ignore-end lint/style/useNodejsImportProtocol: see above

const root = path.join(__dirname, "..");

function refuse(what, fix) {
  console.error(`error: ${what}\n       ${fix}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 12))
  refuse(
    `gpubox needs Node 20.12 or newer; this is Node ${process.versions.node}.`,
    "Install a newer Node (https://nodejs.org/en/download) and run the command again.",
  );
const isCheckout = fs.existsSync(path.join(root, "cli", "main.ts"));
if (isCheckout && !fs.existsSync(path.join(root, "node_modules", "esbuild")))
  refuse("The project's packages are not installed.", "Run `npm ci` in the project's folder first.");
if (isCheckout) require("../tools/bundle.cjs").bundleIfStale();
const program = path.join(root, "dist", "gpubox.cjs");
require("./compiled.cjs").keepCompiled(program);
require(program);
