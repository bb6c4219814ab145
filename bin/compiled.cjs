// A quarter to a third of a command's start is V8 compiling four megabytes of program. What it made of them is kept for the next start.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const { homedir } = require("node:os");
const path = require("node:path");
const v8 = require("node:v8");
const vm = require("node:vm");

/** Of one bundle, so many are kept: versions of gpubox and of Node that take turns. */
const KEPT = 8;

/**
 * From here on, whoever requires this bundle gets it as V8 compiled it in an earlier run, from `$XDG_CACHE_HOME/gpubox` (default:
 * `~/.cache/gpubox`). Where nothing is kept of this very text, for this V8 and its flags, a run that succeeds keeps its own at its end:
 * with the functions that it used, which V8 compiles when they are called. A folder that cannot be written to is no error.
 *
 * @param {string} bundle absolute path
 */
exports.keepCompiled = (bundle) => {
  // A checkout has none before its first command.
  if (!fs.existsSync(bundle)) return;
  const file = fs.realpathSync(bundle);
  const compile = Module.prototype._compile;
  Module.prototype._compile = function (text, filename, ...rest) {
    if (filename !== file) return compile.call(this, text, filename, ...rest);
    const kept = keptOf(file, text);
    const script = new vm.Script(Module.wrap(text), {
      filename,
      cachedData: readOwn(kept),
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    // Undefined where there was none.
    if (script.cachedDataRejected !== false) process.once("exit", (code) => code === 0 && keep(kept, script));
    const wrapped = script.runInThisContext();
    return wrapped.call(
      this.exports,
      this.exports,
      Module.createRequire(filename),
      this,
      filename,
      path.dirname(filename),
    );
  };
};

function keptOf(file, text) {
  const folder = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "gpubox");
  const digest = createHash("sha256")
    .update(`${v8.cachedDataVersionTag()} ${process.arch} ${text}`)
    .digest("hex");
  return path.join(folder, `${path.basename(file, ".cjs")}-${digest.slice(0, 16)}.compiled`);
}

/** The file, if it is this user's own: V8 runs what is in it. */
function readOwn(kept) {
  try {
    return fs.statSync(kept).uid === process.getuid() ? fs.readFileSync(kept) : undefined;
  } catch {
    return undefined;
  }
}

function keep(kept, script) {
  // What only shows its usage has called too little of the program.
  if (process.argv.length < 3 || /^(-h|--help|--version)$/.test(process.argv.at(-1))) return;
  const folder = path.dirname(kept);
  const partial = `${kept}.${process.pid}`;
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.writeFileSync(partial, script.createCachedData(), { mode: 0o600 });
    fs.renameSync(partial, kept);
    const name = path.basename(kept).replace(/-[^-]*$/, "-");
    const others = fs.readdirSync(folder).filter((one) => one.startsWith(name));
    const aged = others.map((one) => ({ one, at: fs.statSync(path.join(folder, one)).mtimeMs }));
    for (const { one } of aged.sort((a, b) => b.at - a.at).slice(KEPT))
      fs.rmSync(path.join(folder, one), { force: true });
  } catch {
    // The next run compiles again.
    if (fs.existsSync(partial)) fs.rmSync(partial);
  }
}
