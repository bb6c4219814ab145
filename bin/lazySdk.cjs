// Preload of the Pulumi program: `nodeargs: "--require gpubox/lazySdk"` in Pulumi.yaml.
// Pulumi's SDK loads TypeScript's compiler and an npm client at each start, 0.4 s of CPU. It uses them only to serialise functions,
// and no box has any. They are loaded here when something asks for them. Nothing asks for what maps stack traces back to TypeScript:
// it reads the maps of the SDK for the traces that Pulumi takes of each resource, 0.2 s of CPU.
//
// A checkout's index.ts imports a source. Each file that this one leads to would be translated at each start, 2 s of CPU: it gets the
// bundle of them instead, as every project does.
const Module = require("node:module");
const { join } = require("node:path");
const { keepCompiled } = require("./compiled.cjs");

const root = join(__dirname, "..");
const bundle = join(root, "dist", "index.cjs");
keepCompiled(bundle);

/** What the SDK requires, and the file that requires it. */
const LATE = [
  ["@npmcli/arborist", /[\\/]runtime[\\/]closure[\\/]codePaths\.js$/],
  ["../../typescript-shim", /[\\/]runtime[\\/]closure[\\/]parseFunction\.js$/],
  ["source-map-support/register", /[\\/]cmd[\\/]run[\\/]index\.js$/],
];

const load = Module._load;

Module._load = function (request, parent, ...rest) {
  if (request === "./program/stackProgram" && parent?.filename === join(root, "index.ts")) {
    require("../tools/bundle.cjs").bundleIfStale();
    return load.call(this, bundle, parent, ...rest);
  }
  const late = LATE.some(([name, file]) => request === name && file.test(parent?.filename ?? ""));
  if (!late) return load.call(this, request, parent, ...rest);
  let loaded;
  // The SDK copies a module's names when it loads it, and these are known only afterwards: `__esModule` keeps it from copying.
  return new Proxy(
    { __esModule: true },
    {
      get(target, name) {
        if (name === "__esModule") return target.__esModule;
        loaded ??= load.call(Module, request, parent, ...rest);
        return loaded[name];
      },
    },
  );
};
