// Runs before everything else, on whatever Node is there: only syntax and modules that Node 14 knows.
// biome-ignore-start lint/style/useNodejsImportProtocol: Node 14.17 and older do not know `node:`
const fs = require("fs");
const path = require("path");
// biome-ignore-end lint/style/useNodejsImportProtocol: see above

const major = Number(process.versions.node.split(".")[0]);

function refuse(what, fix) {
  console.error(what);
  console.error(fix);
  process.exit(1);
}

if (major < 20)
  refuse(
    `gpubox needs Node 20 or newer; this is Node ${process.versions.node}.`,
    "Install a newer Node (https://nodejs.org/en/download) and run `npm ci && npm run up` again.",
  );
if (!fs.existsSync(path.join(__dirname, "..", "node_modules", "tsx")))
  refuse("The project's packages are not installed.", "Run `npm ci` in the project's folder first.");
